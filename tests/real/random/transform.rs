//! Random transforms over one table or several.

use fastrand::Rng;

use super::expression::{Expressions, Visible, Want};
use super::kinds::Kind;
use super::schema::Schema;

#[derive(Clone, Debug)]
pub struct Output {
    pub name: String,
    pub value: Made,
}

#[derive(Clone, Debug)]
pub enum Made {
    Scalar(String),
    Record(Vec<Output>),
    /// A column whose objects have the known shape.
    Shape(String),
    /// `ARRAY(SELECT item FROM … ORDER BY …)`
    List {
        item: Box<Made>,
        tail: String,
    },
    /// `(SELECT item FROM …)` of a record.
    One {
        item: Box<Made>,
        tail: String,
    },
    /// `CASE WHEN … THEN item END` of a record.
    Case {
        when: String,
        item: Box<Made>,
    },
}

#[derive(Clone, Debug)]
pub struct Transform {
    pub name: String,
    pub topic: String,
    pub table: usize,
    pub outputs: Vec<Output>,
    pub key: Vec<String>,
    pub dead_letter: bool,
    /// Every INSERT of the root is a record.
    pub event: bool,
    /// The name of the output that goes into a header.
    pub event_id: Option<String>,
    /// Outputs that the header says are never NULL.
    pub not_null: Vec<String>,
    /// The root in FROM, and what names it.
    pub from: String,
    pub alias: String,
    pub joins: String,
    pub filter: Option<String>,
    pub header: String,
}

pub fn random(rng: &mut Rng, schema: &Schema, topic: &str, number: usize) -> Transform {
    let event = rng.u32(..4) == 0;
    let table = loop {
        let table = rng.usize(..schema.tables.len());
        if event || !schema.tables[table].keyless {
            break table;
        }
    };
    let t = &schema.tables[table];
    let wide = rng.u32(..4) > 0;
    let alias = if wide || rng.bool() { "t".to_owned() } else { String::new() };
    let from = match (alias.as_str(), rng.bool()) {
        ("", true) => t.name.clone(),
        ("", false) => format!("{}.{}", schema.name, t.name),
        (a, true) => format!("{} AS {a}", t.name),
        (a, false) => format!("{}.{} {a}", schema.name, t.name),
    };
    let qualified = if alias.is_empty() { String::new() } else { format!("{alias}.") };
    let alias = if alias.is_empty() { t.name.clone() } else { alias };
    let dead_letter = rng.u32(..3) == 0;
    let risky = rng.u32(..if dead_letter { 2 } else { 6 }) == 0;
    let (joined, subqueries) = if wide { ([0, 1, 1, 2, 3][rng.usize(..5)], rng.u32(..7)) } else { (0, 0) };
    let mut e =
        Expressions { rng, schema, scope: vec![Visible { table: t, alias: qualified }], risky, subqueries, aliases: 0 };
    let mut joins = Vec::new();
    for _ in 0..joined {
        // A second row for a key is a row error.
        let one = e.rng.u32(..if dead_letter { 5 } else { 40 }) > 0;
        joins.extend(e.join(one));
    }
    let mut not_null = Vec::new();
    let key_columns = match event {
        true => event_key(&mut e, dead_letter, &mut not_null),
        false => t.keys[e.rng.usize(..t.keys.len())].0.clone(),
    };
    let mut outputs: Vec<Output> = Vec::new();
    let mut key = Vec::new();
    for (i, &c) in key_columns.iter().enumerate() {
        let name = format!("key_{i}");
        outputs.push(Output { name: name.clone(), value: Made::Scalar(e.column_text(0, c)) });
        key.push(name);
    }
    // A key may be wider than the unique index.
    let extra: Vec<usize> = (0..t.columns.len())
        .filter(|i| {
            t.columns[*i].not_null
                && !key_columns.contains(i)
                && matches!(t.columns[*i].kind, Kind::Enum | Kind::Int4 | Kind::Text | Kind::Uuid)
        })
        .collect();
    if !event && !extra.is_empty() && e.rng.u32(..5) == 0 {
        let c = extra[e.rng.usize(..extra.len())];
        outputs.push(Output { name: "key_x".into(), value: Made::Scalar(e.column_text(0, c)) });
        key.push("key_x".into());
    }
    for i in 0..e.rng.usize(1..7) {
        let value = value(&mut e, 2);
        outputs.push(Output { name: format!("f{i}"), value });
    }
    // Of some values, and of these only, the bridge cannot make a record.
    let fails = |e: &mut Expressions<'_>, by: u32| {
        let fits = |k: &Kind| !matches!(k, Kind::Composite | Kind::Hstore | Kind::Inet | Kind::Bits | Kind::Range);
        let all: Vec<usize> = (0..t.columns.len()).filter(|&i| fits(&t.columns[i].kind)).collect();
        let i = all.get(e.rng.usize(..all.len().max(1)))?;
        Some(format!("(100 / (length(({})::text) % {by}))", e.column_text(0, *i)))
    };
    if dead_letter && e.rng.bool() {
        let by = e.rng.u32(2..5);
        outputs.extend(fails(&mut e, by).map(|f| Output { name: "fails".into(), value: Made::Scalar(f) }));
    }
    let event_id = (event && e.rng.bool()).then(|| {
        let all: Vec<usize> = (0..t.columns.len()).filter(|&i| t.columns[i].in_key).collect();
        let i = all[e.rng.usize(..all.len())];
        outputs.push(Output { name: "event_id".into(), value: Made::Scalar(e.column_text(0, i)) });
        "event_id".to_owned()
    });
    // Order of key and fields is free.
    e.rng.shuffle(&mut outputs);
    let filter = (e.rng.u32(..3) == 0).then(|| {
        let depth = e.rng.u32(1..4);
        // PostgreSQL may test a condition before it joins: one that fails would fail for rows that join nothing, too.
        e.risky &= joins.is_empty();
        match e.rng.u32(..3) {
            0 if dead_letter && joins.is_empty() => fails(&mut e, 5).map_or("true".into(), |f| format!("({f} <> 50)")),
            _ if wide => e.condition(0),
            _ => e.of(Want::Bool, depth),
        }
    });
    let string_key = key.len() == 1 && e.rng.u32(..4) == 0;
    let topic = format!("{topic}.t{number}");
    let mut header = format!(
        "topic = \"{topic}\"\nkey = [{}]\n",
        key.iter().map(|k| format!("\"{k}\"")).collect::<Vec<_>>().join(", ")
    );
    if string_key {
        header += "key_format = \"string\"\n";
    }
    if dead_letter {
        header += "on_error = \"dead_letter\"\n";
    }
    if event {
        header += "kind = \"event\"\n";
    }
    if event_id.is_some() {
        header += "event_id = \"event_id\"\n";
    }
    if !not_null.is_empty() {
        header += &format!("not_null = [\"{}\"]\n", not_null.join("\", \""));
    }
    let joins = joins.join("\n");
    Transform {
        name: format!("x/t{number}"),
        topic,
        table,
        outputs,
        key,
        dead_letter,
        event,
        event_id,
        not_null,
        from,
        alias,
        joins,
        filter,
        header,
    }
}

/// Columns of the root by which an event is partitioned: they may come as often as they like, and be asserted.
fn event_key(e: &mut Expressions<'_>, dead_letter: bool, not_null: &mut Vec<String>) -> Vec<usize> {
    let columns = &e.scope[0].table.columns;
    let plain = |k: &Kind| matches!(k, Kind::Enum | Kind::Int4 | Kind::Text | Kind::Uuid);
    let asserts = dead_letter && e.rng.u32(..3) == 0;
    let fits = |i: &usize| columns[*i].in_key || plain(&columns[*i].kind) && (columns[*i].not_null || asserts);
    let mut all: Vec<usize> = (0..columns.len()).filter(fits).collect();
    e.rng.shuffle(&mut all);
    all.truncate(e.rng.usize(1..3));
    not_null.extend(all.iter().enumerate().filter(|(_, c)| !columns[**c].not_null).map(|(i, _)| format!("key_{i}")));
    all
}

fn value(e: &mut Expressions<'_>, depth: u32) -> Made {
    let source = e.rng.usize(..e.scope.len());
    let table = e.scope[source].table;
    let any = e.rng.usize(..table.columns.len());
    match e.rng.u32(..15) {
        0..=3 if table.columns[any].kind == Kind::Shape => Made::Shape(e.column_text(source, any)),
        0..=3 => Made::Scalar(e.column_text(source, any)),
        4 | 5 if depth > 0 => record(e, depth - 1),
        6..=8 if depth > 0 && e.subqueries > 0 => {
            let length = e.scope.len();
            let list = list(e, depth - 1);
            e.scope.truncate(length);
            list.unwrap_or_else(|| Made::Scalar(e.column_text(source, any)))
        }
        9 if depth > 0 && e.subqueries > 0 => {
            let length = e.scope.len();
            let one = one(e, depth - 1);
            e.scope.truncate(length);
            one.unwrap_or_else(|| Made::Scalar(e.column_text(source, any)))
        }
        10 if e.subqueries > 0 => match e.collected() {
            Some(text) => Made::Scalar(text),
            None => Made::Scalar(e.column_text(source, any)),
        },
        11 if depth > 0 => {
            let deep = e.rng.u32(..3);
            let when = match e.rng.bool() {
                true => format!("{} IS NOT NULL", e.column_text(source, any)),
                false => e.of(Want::Bool, deep),
            };
            Made::Case { when, item: record(e, depth - 1).into() }
        }
        _ => {
            let depth = e.rng.u32(1..4);
            Made::Scalar(e.any(depth))
        }
    }
}

fn record(e: &mut Expressions<'_>, depth: u32) -> Made {
    let fields = (0..e.rng.usize(1..4)).map(|i| Output { name: format!("r{i}"), value: value(e, depth) });
    Made::Record(fields.collect())
}

fn list(e: &mut Expressions<'_>, depth: u32) -> Option<Made> {
    let from = e.from(false)?;
    match e.total_order(from.start) {
        Some(order) => {
            let item = match e.rng.u32(..3) {
                0 => {
                    let depth = e.rng.u32(..3);
                    Made::Scalar(e.any(depth))
                }
                _ => record(e, depth + 1),
            };
            let limit = if e.rng.u32(..6) == 0 { " LIMIT 2" } else { "" };
            Some(Made::List { item: item.into(), tail: format!("{} ORDER BY {order}{limit}", from.text) })
        }
        // Rows that nothing tells apart: only what they are ordered by is shown.
        None => {
            let column = e.sorting(from.start)?;
            let distinct = if e.rng.u32(..3) == 0 { "DISTINCT " } else { "" };
            let item = Made::Scalar(format!("{distinct}{column}"));
            Some(Made::List { item: item.into(), tail: format!("{} ORDER BY {column}", from.text) })
        }
    }
}

fn one(e: &mut Expressions<'_>, depth: u32) -> Option<Made> {
    let from = e.from(true)?;
    let tail = match from.unique {
        true => from.text,
        false => format!("{} ORDER BY {} LIMIT 1", from.text, e.total_order(from.start)?),
    };
    Some(Made::One { item: record(e, depth).into(), tail })
}

impl Made {
    pub fn sql(&self) -> String {
        match self {
            Made::Scalar(text) | Made::Shape(text) => text.clone(),
            Made::Record(fields) => {
                let fields: Vec<String> = fields.iter().map(|f| format!("'{}', {}", f.name, f.value.sql())).collect();
                // Some are put together of two.
                match fields.split_first() {
                    Some((first, rest)) if rest.iter().map(String::len).sum::<usize>() % 4 == 1 => {
                        format!("(jsonb_build_object({first}) || jsonb_build_object({}))", rest.join(", "))
                    }
                    _ => format!("jsonb_build_object({})", fields.join(", ")),
                }
            }
            Made::List { item, tail } => format!("ARRAY(SELECT {} {tail})", item.sql()),
            Made::One { item, tail } => format!("(SELECT {} {tail})", item.sql()),
            Made::Case { when, item } => format!("CASE WHEN {when} THEN {} END", item.sql()),
        }
    }
}

impl Transform {
    /// What the contract names.
    pub fn fields(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|o| self.event_id.as_ref() != Some(&o.name))
    }

    pub fn select(&self, outputs: &[(String, String)]) -> String {
        let list: Vec<String> = outputs.iter().map(|(sql, name)| format!("{sql} AS {name}")).collect();
        let joins = if self.joins.is_empty() { String::new() } else { format!("\n{}", self.joins) };
        let filter = self.filter.as_ref().map_or(String::new(), |f| format!("\nWHERE {f}"));
        format!("SELECT {}\nFROM {}{joins}{filter}", list.join(",\n    "), self.from)
    }

    /// The SELECT as the file has it.
    pub fn sql(&self) -> String {
        let outputs: Vec<(String, String)> = self.outputs.iter().map(|o| (o.value.sql(), o.name.clone())).collect();
        self.select(&outputs)
    }

    pub fn file(&self) -> String {
        format!("/* pgspine\n{}*/\n{};\n", self.header, self.sql())
    }
}
