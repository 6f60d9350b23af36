//! Random transactions with the shapes that break log readers.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use postgres::{Client, SimpleQueryMessage};

use super::kinds::Kind;
use super::schema::{Identity, Reference, Schema, Table};

/// A transaction that committed: its statements, and its number if it wrote anything.
#[derive(Debug)]
pub struct Done {
    pub statements: Vec<String>,
    pub xid: Option<u32>,
    /// Shapes that really changed rows.
    pub shapes: Shapes,
}

pub type Shapes = BTreeMap<&'static str, u32>;

pub struct Workload<'a> {
    pub rng: &'a mut Rng,
    pub client: &'a mut Client,
    pub schema: &'a Schema,
    statements: Vec<String>,
    savepoints: u32,
    /// Which row a reference is to.
    salt: u32,
    /// Rows that the last statement changed.
    changed: u64,
    shapes: Shapes,
    /// Tables whose rows were changed.
    written: BTreeSet<usize>,
}

impl<'a> Workload<'a> {
    pub fn new(rng: &'a mut Rng, client: &'a mut Client, schema: &'a Schema) -> Workload<'a> {
        Workload {
            rng,
            client,
            schema,
            statements: Vec::new(),
            savepoints: 0,
            salt: 0,
            changed: 0,
            shapes: Shapes::new(),
            written: BTreeSet::new(),
        }
    }

    /// Runs one transaction; `None`: it did not commit.
    pub fn transaction(&mut self) -> Option<Done> {
        self.statements.clear();
        let mut steps = [1, 1, 2, 3, 5, 9][self.rng.usize(..6)];
        if self.rng.u32(..30) == 0 {
            steps = 0;
        }
        self.run("BEGIN");
        for _ in 0..steps {
            self.step();
        }
        let end = if self.rng.u32(..25) == 0 { "ROLLBACK" } else { "COMMIT" };
        self.commit(end)
    }

    fn commit(&mut self, end: &str) -> Option<Done> {
        let xid = self.ask("SELECT pg_current_xact_id_if_assigned()::text").first().and_then(|r| r[0].clone());
        let xid = xid.map(|x| x.parse::<u64>().expect("a number") as u32);
        if !self.run(end) {
            self.run("ROLLBACK");
            return None;
        }
        let beside = self.schema.tables.iter().enumerate().any(|(i, t)| {
            let to = |r: &Reference| r.table != i && self.written.contains(&r.table);
            self.written.contains(&i) && t.refers.iter().any(to)
        });
        if beside {
            self.shape("look-up rows and rows that hang on them");
        }
        let (statements, shapes) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.shapes));
        (end == "COMMIT").then_some(Done { statements, xid, shapes })
    }

    /// Rows in every table, as far as their references allow.
    pub fn fill(&mut self) -> Option<Done> {
        self.run("BEGIN");
        let schema = self.schema;
        for _ in 0..2 {
            for t in &schema.tables {
                for _ in 0..self.rng.usize(2..6) {
                    self.run("SAVEPOINT fill");
                    let worked = match self.rng.u32(..3) {
                        0 => self.family(t),
                        _ => self.insert(t),
                    };
                    if !worked || schema.deferred && !self.run("SET CONSTRAINTS ALL IMMEDIATE") {
                        self.run("ROLLBACK TO fill");
                    }
                }
            }
        }
        self.commit("COMMIT")
    }

    fn run(&mut self, sql: &str) -> bool {
        self.statements.push(sql.to_owned());
        match self.client.simple_query(sql) {
            Ok(messages) => {
                let rows = |m: &SimpleQueryMessage| if let SimpleQueryMessage::CommandComplete(n) = m { *n } else { 0 };
                self.changed = messages.iter().map(rows).sum();
                true
            }
            Err(e) => {
                let message = e.as_db_error().map_or_else(|| e.to_string(), |d| d.message().to_owned());
                self.statements.push(format!("-- {message}"));
                false
            }
        }
    }

    fn shape(&mut self, name: &'static str) {
        *self.shapes.entry(name).or_default() += 1;
    }

    fn ask(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.client.simple_query(sql).unwrap_or_else(|e| panic!("{e}: {:?}: {sql}", e.as_db_error()));
        let row = |m: SimpleQueryMessage| match m {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }

    /// One or several statements; what fails is rolled back to a savepoint, and sometimes what worked.
    fn step(&mut self) {
        self.savepoints += 1;
        let savepoint = format!("s{}", self.savepoints);
        self.run(&format!("SAVEPOINT {savepoint}"));
        let schema = self.schema;
        let at = self.rng.usize(..schema.tables.len());
        let (shapes, written) = (self.shapes.clone(), std::mem::take(&mut self.written));
        let before = self.hanging(at);
        let mut worked = self.operation(at);
        if worked && !before.is_empty() {
            self.followed(&before, at);
        }
        self.written.extend(&written);
        if worked && schema.deferred && self.rng.bool() {
            // What would fail at the end is found now.
            worked = self.run("SET CONSTRAINTS ALL IMMEDIATE") && self.run("SET CONSTRAINTS ALL DEFERRED");
        }
        if !worked || self.rng.u32(..15) == 0 {
            self.run(&format!("ROLLBACK TO {savepoint}"));
            (self.shapes, self.written) = (shapes, written);
        } else if self.rng.u32(..4) == 0 {
            self.run(&format!("RELEASE {savepoint}"));
        }
    }

    /// What the server did to other tables by itself.
    fn followed(&mut self, before: &[(usize, &'static str, String)], at: usize) {
        let truncated = self.statements.last().is_some_and(|s| s.starts_with("TRUNCATE"));
        for (now, was) in self.hanging(at).into_iter().zip(before) {
            if now != *was && !self.written.contains(&now.0) {
                self.shape(if truncated { "TRUNCATE … CASCADE of others" } else { now.1.trim_start() });
                self.written.insert(now.0);
            }
        }
    }

    fn operation(&mut self, at: usize) -> bool {
        let t = &self.schema.tables[at];
        let n = self.rng.u32(..110);
        let (shape, worked) = match n {
            0..=24 => ("INSERT", self.insert(t)),
            25..=44 => {
                let set = self.assignments(t, false);
                let row = self.row(t);
                ("UPDATE", self.run(&format!("UPDATE {} SET {set} WHERE {row}", t.name)))
            }
            45..=52 => {
                let set = self.assignments(t, true);
                let row = self.row(t);
                ("UPDATE of a key", self.run(&format!("UPDATE {} SET {set} WHERE {row}", t.name)))
            }
            53..=60 => {
                let row = self.row(t);
                ("DELETE", self.run(&format!("DELETE FROM {} WHERE {row}", t.name)))
            }
            61..=65 => {
                let c = &t.columns[self.rng.usize(..t.columns.len())].name;
                ("UPDATE to the same", self.run(&format!("UPDATE {} SET {c} = {c}", t.name)))
            }
            66..=69 => {
                let row = self.row(t);
                let sql = format!(
                    "WITH d AS (DELETE FROM {0} WHERE {row} RETURNING *) INSERT INTO {0} SELECT * FROM d",
                    t.name
                );
                ("DELETE and INSERT in one statement", self.run(&sql))
            }
            70..=74 => ("gone and back", self.again(t)),
            75..=80 => ("two keys change places", self.swap(t)),
            81..=84 => ("all keys move on", self.shift(t)),
            85..=90 => ("out of line", self.large(t)),
            92 => return self.run("SELECT pg_logical_emit_message(false, 'x', 'y')"),
            93 => {
                let set = self.assignments(t, false);
                ("UPDATE of all rows", self.run(&format!("UPDATE {} SET {set}", t.name)))
            }
            94 | 100 => ("TRUNCATE", self.truncate(t)),
            95 => ("DELETE of all rows", self.run(&format!("DELETE FROM {}", t.name))),
            96 => return self.run("SELECT pg_logical_emit_message(true, 'x', 'y')"),
            97 | 101 => ("thousands of changes", self.many(t)),
            91 | 98 => ("child and parent", self.family(t)),
            99 => ("INSERTs", (0..8).fold(true, |worked, _| worked && self.insert(t))),
            102 => {
                let row = self.row(t);
                let sql = format!("DELETE FROM {} WHERE {row}", t.name);
                ("INSERT and DELETE", self.insert(t) && self.run(&sql))
            }
            _ => return self.beside(t),
        };
        if worked && (self.changed > 0 || shape == "TRUNCATE") {
            self.shape(shape);
            self.written.insert(at);
        }
        worked
    }

    /// Rows that hang on a table, and what they are like now.
    fn hanging(&mut self, at: usize) -> Vec<(usize, &'static str, String)> {
        let schema = self.schema;
        let mut all = Vec::new();
        for (i, t) in schema.tables.iter().enumerate().filter(|(i, _)| *i != at) {
            let to = t.refers.iter().filter(|r| r.table == at).find_map(|r| r.constraint);
            if let Some(constraint) = to {
                let sql = format!("SELECT md5(string_agg(c::text, ' ' ORDER BY c::text)) FROM {} c", t.name);
                let now = self.ask(&sql).remove(0).remove(0).unwrap_or_default();
                all.push((i, constraint.then, now));
            }
        }
        all
    }

    /// A row and the one it points at, both changed, in either order.
    fn beside(&mut self, t: &Table) -> bool {
        let Some(r) = t.refers.get(self.rng.usize(..t.refers.len().max(1))) else { return self.insert(t) };
        let schema = self.schema;
        let to = &schema.tables[r.table];
        let first = self.rng.bool();
        let mut worked = true;
        for own in [first, !first] {
            let t = if own { t } else { to };
            worked = worked
                && match self.rng.u32(..5) {
                    0 => self.again(t),
                    1 => self.swap(t),
                    2 if !own => {
                        let set = self.assignments(t, true);
                        let row = self.row(t);
                        self.run(&format!("UPDATE {} SET {set} WHERE {row}", t.name))
                    }
                    _ => {
                        let set = self.assignments(t, false);
                        let row = self.row(t);
                        self.run(&format!("UPDATE {} SET {set} WHERE {row}", t.name))
                    }
                };
            if worked && self.changed > 0 {
                self.written.extend(schema.tables.iter().position(|o| o.name == t.name));
            }
        }
        worked
    }

    fn value(&mut self, t: &Table, i: usize) -> String {
        let c = &t.columns[i];
        if !c.not_null && self.rng.u32(..4) == 0 {
            return "NULL".into();
        }
        if c.in_key {
            return c.kind.key_literal(self.rng);
        }
        let refers =
            t.refers.iter().find_map(|r| r.columns.iter().find(|(own, _)| *own == i).map(|(_, key)| (r, *key)));
        if let Some((r, key)) = refers {
            let to = &self.schema.tables[r.table];
            // One row for all columns of the key: the salt is that of the statement.
            let there = format!(
                "(SELECT {} FROM {} ORDER BY md5({}::text || '{}') LIMIT 1)::{}",
                to.columns[key].name,
                to.name,
                self.key_row(to),
                self.salt,
                c.kind.sql()
            );
            return match self.rng.u32(..5) {
                // It may be there and may not.
                0 => format!("({})::{}", to.columns[key].kind.key_literal(self.rng), c.kind.sql()),
                _ => there,
            };
        }
        c.kind.literal(self.rng, self.schema.edges)
    }

    fn values(&mut self, t: &Table) -> Vec<String> {
        self.salt = self.rng.u32(..20);
        (0..t.columns.len()).map(|i| self.value(t, i)).collect()
    }

    fn insert(&mut self, t: &Table) -> bool {
        let values = self.values(t);
        self.insert_values(t, &values)
    }

    fn insert_values(&mut self, t: &Table, values: &[String]) -> bool {
        let names: Vec<&str> = t.columns.iter().map(|c| c.name.as_str()).collect();
        let mut sql = format!("INSERT INTO {} ({}) VALUES ({})", t.name, names.join(", "), values.join(", "));
        if !t.keys[0].1 && !t.keyless {
            let key: Vec<&str> = t.keys[0].0.iter().map(|&i| names[i]).collect();
            match self.rng.u32(..3) {
                0 => sql += " ON CONFLICT DO NOTHING",
                1 => {
                    let set = self.assignments(t, false);
                    sql += &format!(" ON CONFLICT ({}) DO UPDATE SET {set}", key.join(", "));
                }
                _ => {}
            }
        }
        self.run(&sql)
    }

    /// A row and then the row that it points at, or the other way round.
    fn family(&mut self, t: &Table) -> bool {
        let Some(r) = t.refers.get(self.rng.usize(..t.refers.len().max(1))) else { return self.insert(t) };
        let schema = self.schema;
        let to = &schema.tables[r.table];
        let (mut child, mut parent) = (self.values(t), self.values(to));
        for &(own, key) in &r.columns {
            let literal = to.columns[key].kind.key_literal(self.rng);
            child[own] = format!("({literal})::{}", t.columns[own].kind.sql());
            parent[key] = literal;
        }
        match self.rng.bool() {
            true => {
                let worked = self.insert_values(t, &child) && self.insert_values(to, &parent);
                if worked && r.constraint.is_some_and(|c| c.deferred) {
                    self.shape("child before its parent, deferred");
                }
                worked
            }
            false => self.insert_values(to, &parent) && self.insert_values(t, &child),
        }
    }

    /// Thousands of changes, of which some dozen rows remain.
    fn many(&mut self, t: &Table) -> bool {
        let k = &t.columns[t.keys[0].0[0]];
        if !matches!(k.kind, Kind::Int4 | Kind::Int8 | Kind::Numeric) {
            return self.insert(t);
        }
        let (key, nowhere) = (t.keys[0].0[0], self.rng.bool());
        self.salt = self.rng.u32(..20);
        let values: Vec<String> = (0..t.columns.len())
            .map(|i| match (i == key, t.refers.iter().any(|r| r.columns.iter().any(|c| c.0 == i))) {
                (true, _) => "g".to_owned(),
                // Half of the time all of them hang on one row.
                (false, true) if !t.columns[i].not_null && nowhere => "NULL".to_owned(),
                _ => self.value(t, i),
            })
            .collect();
        let names: Vec<&str> = t.columns.iter().map(|c| c.name.as_str()).collect();
        let (name, k) = (&t.name, &k.name);
        let set = self.assignments(t, false);
        self.run(&format!(
            "INSERT INTO {name} ({}) SELECT {} FROM generate_series(5001, 6200) g",
            names.join(", "),
            values.join(", ")
        )) && (set.is_empty() || self.run(&format!("UPDATE {name} SET {set} WHERE {k} > 5000")))
            && self.run(&format!("DELETE FROM {name} WHERE {k} > 5040"))
    }

    fn assignments(&mut self, t: &Table, key: bool) -> String {
        self.salt = self.rng.u32(..20);
        let mut free: Vec<usize> = (0..t.columns.len()).filter(|&i| t.columns[i].in_key == key).collect();
        self.rng.shuffle(&mut free);
        free.truncate(self.rng.usize(1..4));
        let set: Vec<String> = free.iter().map(|&i| format!("{} = {}", t.columns[i].name, self.value(t, i))).collect();
        set.join(", ")
    }

    /// One row that is there, the same for the same seed.
    fn row(&mut self, t: &Table) -> String {
        let salt = self.rng.u32(..1000);
        format!(
            "(tableoid, ctid) = (SELECT tableoid, ctid FROM {} ORDER BY md5(({})::text || '{salt}') LIMIT 1)",
            t.name,
            self.key_row(t)
        )
    }

    fn key_row(&self, t: &Table) -> String {
        let names: Vec<&str> = t.keys[0].0.iter().map(|&i| t.columns[i].name.as_str()).collect();
        format!("ROW({})", names.join(", "))
    }

    /// A row goes and comes back in the same transaction, as it was or a little different.
    fn again(&mut self, t: &Table) -> bool {
        let c = self.rng.usize(..t.columns.len());
        let value = self.value(t, c);
        let row = self.row(t);
        let names: Vec<String> = t.columns.iter().map(|c| c.name.clone()).collect();
        let back: Vec<String> = (0..names.len())
            .map(|i| if i == c && !t.columns[i].in_key { value.clone() } else { names[i].clone() })
            .collect();
        self.run("DROP TABLE IF EXISTS pg_temp.kept")
            && self.run(&format!("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {} WHERE {row}", t.name))
            && self.run(&format!(
                "DELETE FROM {0} WHERE {1} IN (SELECT {1} FROM pg_temp.kept)",
                t.name,
                self.key_row(t)
            ))
            && self.run(&format!(
                "INSERT INTO {} ({}) SELECT {} FROM pg_temp.kept",
                t.name,
                names.join(", "),
                back.join(", ")
            ))
    }

    /// Two rows change their keys with each other; where the key is not deferrable, by way of a third.
    fn swap(&mut self, t: &Table) -> bool {
        let (key, _) = &t.keys[self.rng.usize(..t.keys.len())];
        let k = &t.columns[key[0]];
        let salt = self.rng.u32(..1000);
        let rows = self.ask(&format!(
            "SELECT tableoid, ctid, quote_literal({0}::text) FROM {1} ORDER BY md5({0}::text || '{salt}') LIMIT 2",
            k.name, t.name
        ));
        let [a, b] = &rows[..] else { return true };
        let text = |r: &Vec<Option<String>>| format!("{}::{}", r[2].clone().expect("a key"), k.kind.sql());
        let (ka, kb) = (text(a), text(b));
        let (n, name) = (&k.name, &t.name);
        if self.rng.bool() {
            return self.run(&format!(
                "UPDATE {name} SET {n} = CASE WHEN {n} = {ka} THEN {kb} ELSE {ka} END WHERE {n} IN ({ka}, {kb})"
            ));
        }
        let spare = k.kind.key_literal(self.rng);
        self.run(&format!("UPDATE {name} SET {n} = {spare} WHERE {n} = {ka}"))
            && self.run(&format!("UPDATE {name} SET {n} = {ka} WHERE {n} = {kb}"))
            && self.run(&format!("UPDATE {name} SET {n} = {kb} WHERE {n} = {spare}"))
    }

    /// `SET id = id + 1`.
    fn shift(&mut self, t: &Table) -> bool {
        let Some(c) = t
            .columns
            .iter()
            .find(|c| c.in_key && matches!(c.kind.base(), Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric))
        else {
            return true;
        };
        let by = if self.rng.bool() { 1 } else { -1 };
        self.run(&format!("UPDATE {} SET {} = {} + {by}", t.name, c.name, c.name))
    }

    /// A value that goes out of line, and changes that leave it alone.
    fn large(&mut self, t: &Table) -> bool {
        let fits = |k: &Kind| matches!(k, Kind::Text | Kind::Bytea | Kind::Json | Kind::Jsonb | Kind::Array(_));
        let large: Vec<usize> =
            (0..t.columns.len()).filter(|&i| fits(&t.columns[i].kind) && !t.columns[i].in_key).collect();
        if large.is_empty() {
            return true;
        }
        let c = &t.columns[large[self.rng.usize(..large.len())]];
        let (salt, count) = (self.rng.u32(..), [70, 270, 300, 600][self.rng.usize(..4)]);
        let text = format!("(SELECT string_agg(md5(i::text || '{salt}'), '') FROM generate_series(1, {count}) i)");
        let value = match &c.kind {
            Kind::Bytea => format!("convert_to({text}, 'UTF8')"),
            Kind::Json | Kind::Jsonb => format!("json_build_object('a', {text})::{}", c.kind.sql()),
            Kind::Array(of) if **of == Kind::Text => format!("ARRAY[{text}, NULL, 'x']"),
            Kind::Array(_) => return true,
            _ => text,
        };
        let row = self.row(t);
        self.run(&format!("UPDATE {} SET {} = {value} WHERE {row}", t.name, c.name)) && {
            let set = self.assignments(t, self.rng.clone().bool());
            let row = self.row(t);
            self.rng.bool() || self.run(&format!("UPDATE {} SET {set} WHERE {row}", t.name))
        }
    }

    fn truncate(&mut self, t: &Table) -> bool {
        if !t.partitions.is_empty() && t.identity != Identity::Full && self.rng.bool() {
            let leaf = &t.partitions[self.rng.usize(..t.partitions.len())];
            return self.run(&format!("TRUNCATE {leaf}"));
        }
        let schema = self.schema;
        let other = &schema.tables[self.rng.usize(..schema.tables.len())];
        let cascade = if self.rng.bool() { " CASCADE" } else { "" };
        match self.rng.bool() && other.name != t.name {
            true => self.run(&format!("TRUNCATE {}, {}{cascade}", t.name, other.name)),
            false => self.run(&format!("TRUNCATE {}{cascade}", t.name)),
        }
    }
}
