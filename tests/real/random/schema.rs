//! Random tables: columns, keys, replica identity, partitions, and columns that point at other tables' keys.

use fastrand::Rng;

use super::kinds::{self, Kind};

#[derive(Debug)]
pub struct Schema {
    pub name: String,
    pub tables: Vec<Table>,
    pub sql: Vec<String>,
    pub edges: bool,
    /// Constraints are checked at the end of transactions.
    pub deferred: bool,
}

#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Unique sets of NOT NULL columns; the first is the primary key. `true`: deferrable.
    pub keys: Vec<(Vec<usize>, bool)>,
    pub identity: Identity,
    pub partitions: Vec<String>,
    /// The first key is declared nowhere: rows may be there twice.
    pub keyless: bool,
    pub refers: Vec<Reference>,
}

/// Columns that hold a key of another table, or of the same one; with a constraint or without.
#[derive(Clone, Debug)]
pub struct Reference {
    pub table: usize,
    /// Own column, and the column of the key.
    pub columns: Vec<(usize, usize)>,
    pub constraint: Option<Constraint>,
}

#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// ON DELETE and ON UPDATE; empty: neither.
    pub then: &'static str,
    pub deferred: bool,
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
    let mut sql = vec![
        format!("CREATE SCHEMA IF NOT EXISTS {name}"),
        format!("SET search_path = {name}, public"),
        kinds::TYPES.to_owned(),
    ];
    let mut tables: Vec<Table> = (0..[1, 2, 2, 3, 3, 4, 5][rng.usize(..7)]).map(|i| table(rng, i)).collect();
    // Values at the edges make expressions fail, and failing ones end a case early.
    let edges = rng.u32(..if tables.len() == 1 { 2 } else { 4 }) == 0;
    let mut deferred = false;
    let mut constraints = Vec::new();
    for i in 0..tables.len() {
        for _ in 0..if tables.len() == 1 { rng.usize(..2) } else { [1, 1, 2, 0][rng.usize(..4)] } {
            let to = rng.usize(..tables.len());
            constraints.extend(refer(rng, &mut tables, i, to, &mut deferred));
        }
    }
    for (i, t) in tables.iter_mut().enumerate() {
        declare(rng, i, t, &mut sql);
    }
    sql.extend(constraints);
    Schema { name: name.to_owned(), tables, sql, edges, deferred }
}

/// Adds columns to `tables[from]` that hold the key of `tables[to]`.
fn refer(rng: &mut Rng, tables: &mut [Table], from: usize, to: usize, deferred: &mut bool) -> Option<String> {
    let (n, not_null) = (tables[from].refers.len(), rng.u32(..4) == 0);
    let key = tables[to].keys[rng.usize(..tables[to].keys.len())].clone();
    let constraint = !tables[to].keyless && !key.1 && rng.u32(..5) < 2;
    let mut columns = Vec::new();
    for (i, &c) in key.0.iter().enumerate() {
        let base = tables[to].columns[c].kind.clone();
        let kind = if constraint || rng.u32(..3) > 0 { base } else { base.alike(rng) };
        let column = Column { name: format!("ref{n}_{i}"), kind, not_null, in_key: false };
        columns.push((tables[from].columns.len(), c));
        tables[from].columns.push(column);
    }
    let names = |t: &Table, of: &mut dyn Iterator<Item = usize>| {
        of.map(|c| t.columns[c].name.clone()).collect::<Vec<_>>().join(", ")
    };
    let own = names(&tables[from], &mut columns.iter().map(|c| c.0));
    let theirs = names(&tables[to], &mut columns.iter().map(|c| c.1));
    let then = [
        "",
        " ON DELETE CASCADE",
        " ON DELETE SET NULL",
        " ON UPDATE CASCADE ON DELETE CASCADE",
        " ON UPDATE CASCADE",
        " ON UPDATE CASCADE ON DELETE SET NULL",
        " ON UPDATE SET NULL ON DELETE CASCADE",
    ];
    let then = then[rng.usize(..then.len())];
    let late = rng.bool();
    let sql = constraint.then(|| {
        *deferred |= late;
        format!(
            "ALTER TABLE {} ADD FOREIGN KEY ({own}) REFERENCES {} ({theirs}){then}{}",
            tables[from].name,
            tables[to].name,
            if late { " DEFERRABLE INITIALLY DEFERRED" } else { "" }
        )
    });
    let constraint = constraint.then_some(Constraint { then, deferred: late });
    tables[from].refers.push(Reference { table: to, columns, constraint });
    sql
}

fn table(rng: &mut Rng, index: usize) -> Table {
    let name = ["t0", "\"T 1\"", "t2", "\"order\"", "t4"][index].to_owned();
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
    #[allow(clippy::needless_range_loop)] // The index is part of what is made.
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
    let partitioned = rng.u32(..5) == 0;
    let keyless = index > 0 && rng.u32(..7) == 0;
    let identity = match rng.u32(..6) {
        _ if keyless => Identity::Full,
        0 | 1 => Identity::Full,
        2 if alt && !partitioned => Identity::Index,
        _ => Identity::Default,
    };
    let mut keys = vec![((0..keys_wide).collect::<Vec<_>>(), false)];
    if alt && !partitioned && !keyless {
        keys.push((vec![keys_wide], false));
    }
    if identity != Identity::Default && !partitioned && rng.bool() {
        keys[0].1 = true;
        if identity == Identity::Full && keys.len() > 1 {
            keys[1].1 = rng.bool();
        }
    }
    let partitions = if partitioned { (0..3).map(|i| format!("leaf_{index}_{i}")).collect() } else { Vec::new() };
    Table { name, columns, keys, identity, partitions, keyless, refers: Vec::new() }
}

fn declare(rng: &mut Rng, index: usize, t: &mut Table, sql: &mut Vec<String>) {
    let Table { name, columns, keys, identity, partitions, keyless, .. } = t;
    let identity = *identity;
    let mut order: Vec<usize> = (0..columns.len()).collect();
    if rng.bool() {
        rng.shuffle(&mut order);
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
    if !*keyless {
        parts.push(format!("PRIMARY KEY ({}){}", list(&keys[0].0), defer(keys[0].1)));
    }
    if let Some((alt, d)) = keys.get(1) {
        parts.push(format!("CONSTRAINT alt_{index} UNIQUE ({}){}", list(alt), defer(*d)));
    }
    let by = if !partitions.is_empty() { format!(" PARTITION BY HASH ({})", columns[0].name) } else { String::new() };
    sql.push(format!("CREATE TABLE {name} ({}){by}", parts.join(", ")));
    {
        for (i, leaf) in partitions.iter().enumerate() {
            sql.push(format!("CREATE TABLE {leaf} PARTITION OF {name} FOR VALUES WITH (MODULUS 3, REMAINDER {i})"));
            // Some leaves FULL, some not: rows are kept by key then.
            if identity == Identity::Full || i > 0 && rng.u32(..6) == 0 {
                sql.push(format!("ALTER TABLE {leaf} REPLICA IDENTITY FULL"));
            }
        }
    }
    match identity {
        Identity::Full => sql.push(format!("ALTER TABLE {name} REPLICA IDENTITY FULL")),
        Identity::Index => sql.push(format!("ALTER TABLE {name} REPLICA IDENTITY USING INDEX alt_{index}")),
        Identity::Default => {}
    }
    for c in columns.iter() {
        if matches!(c.kind, Kind::Text | Kind::Bytea | Kind::Jsonb) && !c.in_key && rng.bool() {
            sql.push(format!("ALTER TABLE {name} ALTER COLUMN {} SET STORAGE EXTERNAL", c.name));
        }
    }
}
