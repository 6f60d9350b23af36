//! Random tables: columns, keys, replica identity, partitions.

use fastrand::Rng;

use super::kinds::{self, Kind};

#[derive(Debug)]
pub struct Schema {
    pub name: String,
    pub tables: Vec<Table>,
    pub sql: Vec<String>,
    pub edges: bool,
}

#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Unique sets of NOT NULL columns; the first is the primary key. `true`: deferrable.
    pub keys: Vec<(Vec<usize>, bool)>,
    pub identity: Identity,
    pub partitions: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub not_null: bool,
    pub in_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    Default,
    Full,
    Index,
}

pub fn random(rng: &mut Rng, name: &str) -> Schema {
    let edges = rng.bool();
    let mut sql = vec![
        format!("CREATE SCHEMA IF NOT EXISTS {name}"),
        format!("SET search_path = {name}, public"),
        kinds::TYPES.to_owned(),
    ];
    let tables = (0..[1, 1, 2, 3, 4][rng.usize(..5)]).map(|i| table(rng, i, &mut sql)).collect();
    Schema { name: name.to_owned(), tables, sql, edges }
}

fn table(rng: &mut Rng, index: usize, sql: &mut Vec<String>) -> Table {
    let name = ["t0", "\"T 1\"", "t2", "order"][index].replace("order", "\"order\"");
    let mut columns = Vec::new();
    let wide = if rng.u32(..12) == 0 { 75 } else { 0 };
    let names = [
        "id",
        "k",
        "alt",
        "status",
        "amount",
        "note",
        "\"Ünï\"",
        "\"quoted \"\"x\"\"\"",
        "at",
        "flag",
        "data",
        "c11",
        "c12",
    ];
    let keys_wide = [1, 1, 1, 2, 2, 3][rng.usize(..6)];
    let alt = rng.u32(..3) == 0;
    for i in 0..keys_wide + usize::from(alt) {
        let mut kind = Kind::for_key(rng);
        if i == keys_wide {
            kind = [Kind::Int4, Kind::Text, Kind::Uuid, Kind::Int8, Kind::Numeric][rng.usize(..5)].clone();
        }
        columns.push(Column { name: names[i].into(), kind, not_null: true, in_key: true });
    }
    for i in columns.len()..columns.len() + rng.usize(1..8) + wide {
        let name = names.get(i).map_or_else(|| format!("c{i}"), |n| (*n).to_owned());
        columns.push(Column { name, kind: Kind::any(rng), not_null: rng.u32(..3) == 0, in_key: false });
    }
    let mut order: Vec<usize> = (0..columns.len()).collect();
    if rng.bool() {
        rng.shuffle(&mut order);
    }
    let partitioned = rng.u32(..5) == 0;
    let identity = match rng.u32(..6) {
        0 | 1 => Identity::Full,
        2 if alt && !partitioned => Identity::Index,
        _ => Identity::Default,
    };
    let mut keys = vec![((0..keys_wide).collect::<Vec<_>>(), false)];
    if alt && !partitioned {
        keys.push((vec![keys_wide], false));
    }
    if identity != Identity::Default && !partitioned && rng.bool() {
        keys[0].1 = true;
        if identity == Identity::Full && keys.len() > 1 {
            keys[1].1 = rng.bool();
        }
    }
    let defer = |d: bool| if d { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
    let list = |k: &[usize]| k.iter().map(|&c| columns[c].name.clone()).collect::<Vec<_>>().join(", ");
    let mut parts: Vec<String> = order
        .iter()
        .map(|&i| {
            let c = &columns[i];
            format!("{} {}{}", c.name, c.kind.sql(), if c.not_null { " NOT NULL" } else { "" })
        })
        .collect();
    parts.push(format!("PRIMARY KEY ({}){}", list(&keys[0].0), defer(keys[0].1)));
    if let Some((alt, d)) = keys.get(1) {
        parts.push(format!("CONSTRAINT alt_{index} UNIQUE ({}){}", list(alt), defer(*d)));
    }
    let mut partitions = Vec::new();
    let by = if partitioned { format!(" PARTITION BY HASH ({})", columns[0].name) } else { String::new() };
    sql.push(format!("CREATE TABLE {name} ({}){by}", parts.join(", ")));
    if partitioned {
        for i in 0..3 {
            let leaf = format!("leaf_{index}_{i}");
            sql.push(format!("CREATE TABLE {leaf} PARTITION OF {name} FOR VALUES WITH (MODULUS 3, REMAINDER {i})"));
            // Some leaves FULL, some not: rows are kept by key then.
            if identity == Identity::Full || rng.u32(..6) == 0 {
                sql.push(format!("ALTER TABLE {leaf} REPLICA IDENTITY FULL"));
            }
            partitions.push(leaf);
        }
    }
    match identity {
        Identity::Full => sql.push(format!("ALTER TABLE {name} REPLICA IDENTITY FULL")),
        Identity::Index => sql.push(format!("ALTER TABLE {name} REPLICA IDENTITY USING INDEX alt_{index}")),
        Identity::Default => {}
    }
    for c in &columns {
        if matches!(c.kind, Kind::Text | Kind::Bytea | Kind::Jsonb) && !c.in_key && rng.bool() {
            sql.push(format!("ALTER TABLE {name} ALTER COLUMN {} SET STORAGE EXTERNAL", c.name));
        }
    }
    Table { name, columns, keys, identity, partitions }
}
