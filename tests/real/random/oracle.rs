//! What PostgreSQL answers, and what the topic must hold for it.

use std::collections::BTreeMap;

use pgspine::catalogue::Type;
use pgspine::transform::{Plan, Shape};
use postgres::{Client, SimpleQueryMessage};
use serde_json::Value as Json;

use super::canon::{Canon, Fit, Unholdable, array, from_text, list, non_null};
use super::transform::{Made, Output, Transform};

/// A transform as the oracle asks for it: one text per leaf of the contract.
pub struct Query {
    /// The key's texts and the leaves' in one answer.
    select: String,
    /// The same for one row, whose place is appended.
    of_row: String,
    key_of_row: String,
    places: String,
    /// Behind key and leaves of an event: the number of its INSERT, and its id.
    event: bool,
    leaves: Vec<Leaf>,
    keys: Vec<(Type, Json)>,
}

struct Leaf {
    name: String,
    value: Made,
    shape: Shape,
    schema: Json,
    special: String,
}

/// What an INSERT must have become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Counts the INSERTs of all roots.
    pub number: u64,
    /// None: it is NULL.
    pub key: Option<Canon>,
    /// None: this row cannot be published.
    pub value: Option<Canon>,
    pub id: Option<String>,
}

/// Per key what must be there; `None`: this row cannot be published.
pub type Answer = BTreeMap<Canon, Option<Canon>>;

impl Query {
    pub fn new(t: &Transform, table: &str, plan: &Plan, contract: &Json, key: Option<&Json>) -> Query {
        let mut leaves = Vec::new();
        for field in contract["fields"].as_array().expect("fields") {
            let name = field["name"].as_str().expect("a name").to_owned();
            let value = t.outputs.iter().find(|o| o.name == name).expect("an output").value.clone();
            let shape = plan.outputs.iter().find(|o| o.name == name).expect("an output").shape.clone();
            let special = field["pgspine.special"].as_str().unwrap_or("").to_owned();
            leaves.push(Leaf { name, value, shape, schema: field["type"].clone(), special });
        }
        let sql: Vec<String> = leaves.iter().map(|l| asked(&l.value, &l.shape, &l.schema)).collect();
        let mut keys = Vec::new();
        let mut key_sql = Vec::new();
        for name in &t.key {
            let output = t.outputs.iter().find(|o| o.name == *name).expect("a key");
            let planned = plan.outputs.iter().find(|o| o.name == *name).expect("a key");
            let Shape::Scalar(e) = &planned.shape else { panic!("a key is a scalar") };
            let schema = match key {
                Some(key) => key["fields"]
                    .as_array()
                    .expect("fields")
                    .iter()
                    .find(|f| f["name"] == **name)
                    .expect("field")["type"]
                    .clone(),
                None => Json::from("string"),
            };
            keys.push((e.ty.ty.clone(), schema));
            key_sql.push((output.value.sql(), format!("k{}", keys.len())));
        }
        let mut all: Vec<(String, String)> =
            key_sql.iter().cloned().chain(sql.into_iter().enumerate().map(|(i, s)| (s, format!("l{i}")))).collect();
        let mut t = t.clone();
        let (mut here, mut places) = (
            "tableoid::text = 'TABLEOID' AND ctid = 'CTID'",
            format!("SELECT tableoid::text, ctid::text FROM {table}"),
        );
        if t.event {
            let id = t.outputs.iter().find(|o| t.event_id.as_ref() == Some(&o.name));
            for more in [NUMBER.to_owned(), id.map_or("NULL".to_owned(), |o| o.value.sql())] {
                all.push((more, format!("l{}", all.len())));
                key_sql.push(all[all.len() - 1].clone());
            }
            (here, places) = ("insert_number = TABLEOID", format!("SELECT {NUMBER}, '' FROM {table} ORDER BY 1"));
            t.from = format!("(SELECT * FROM {table} OFFSET 0) AS {}", t.alias);
        }
        let one = format!("(SELECT * FROM {table} WHERE {here} OFFSET 0) AS {}", t.alias);
        let of = |outputs: &[(String, String)], filter: bool| {
            let mut one = Transform { from: one.clone(), ..t.clone() };
            if !filter {
                (one.filter, one.joins) = (None, String::new());
            }
            one.select(outputs)
        };
        let order = if t.event { format!("\nORDER BY {NUMBER}") } else { String::new() };
        Query {
            select: t.select(&all) + &order,
            of_row: of(&all, true),
            key_of_row: of(&key_sql, false),
            places,
            event: t.event,
            leaves,
            keys,
        }
    }

    pub fn ask(&self, client: &mut Client) -> Answer {
        let mut answer = Answer::new();
        if self.event {
            return answer;
        }
        match rows(client, &self.select) {
            Ok(all) => all.iter().for_each(|row| self.add(row, &mut answer)),
            Err(_) => {
                for place in rows(client, &self.places).expect("the table can be read") {
                    let at = |sql: &str| at(sql, &place);
                    match rows(client, &at(&self.of_row)) {
                        Ok(all) => all.iter().for_each(|row| self.add(row, &mut answer)),
                        Err(_) => {
                            let row = rows(client, &at(&self.key_of_row))
                                .unwrap_or_else(|e| panic!("{e}: {}", at(&self.key_of_row)));
                            answer.insert(self.key(&row[0]), None);
                        }
                    }
                }
            }
        }
        answer
    }

    /// What the INSERTs that the root's shadow holds must have become, in their order.
    pub fn happened(&self, client: &mut Client) -> Vec<Happened> {
        let mut all = Vec::new();
        if !self.event {
            return all;
        }
        match rows(client, &self.select) {
            Ok(found) => found.iter().for_each(|row| self.happen(row, &mut all)),
            Err(_) => {
                for place in rows(client, &self.places).expect("the shadow can be read") {
                    match rows(client, &at(&self.of_row, &place)) {
                        Ok(found) => found.iter().for_each(|row| self.happen(row, &mut all)),
                        Err(_) => {
                            let row = rows(client, &at(&self.key_of_row, &place)).expect("a key can be read").remove(0);
                            let number = number(&row[self.keys.len()]);
                            all.push(Happened { number, key: self.event_key(&row), value: None, id: None });
                        }
                    }
                }
            }
        }
        all
    }

    fn happen(&self, row: &[Option<String>], all: &mut Vec<Happened>) {
        let (rest, wide) = (&row[self.keys.len()..], self.leaves.len());
        let (number, key) = (number(&rest[wide]), self.event_key(row));
        match all.last_mut() {
            // It joins several rows.
            Some(last) if last.number == number => (last.value, last.id) = (None, None),
            _ => {
                let value = if key.is_some() { self.value(rest) } else { None };
                let id = rest[wide + 1].clone().filter(|_| value.is_some());
                all.push(Happened { number, key, value, id });
            }
        }
    }

    fn event_key(&self, row: &[Option<String>]) -> Option<Canon> {
        row[..self.keys.len()].iter().all(Option::is_some).then(|| self.key(row))
    }

    fn value(&self, row: &[Option<String>]) -> Option<Canon> {
        let of = |(leaf, text): (&Leaf, &Option<String>)| {
            let canon = made(text.as_deref(), &leaf.value, &leaf.shape, &leaf.schema, &leaf.special).ok()?;
            Some((leaf.name.clone(), canon))
        };
        self.leaves.iter().zip(row).map(of).collect::<Option<_>>().map(Canon::Map)
    }

    fn add(&self, row: &[Option<String>], answer: &mut Answer) {
        let key = self.key(row);
        // A second row for a key cannot be published, and so neither can the first.
        let value = self.value(&row[self.keys.len()..]).filter(|_| !answer.contains_key(&key));
        answer.insert(key, value);
    }

    fn key(&self, row: &[Option<String>]) -> Canon {
        let of = |((ty, schema), text): (&(Type, Json), &Option<String>)| {
            from_text(text.as_deref(), ty, non_null(schema).0, "")
                .unwrap_or_else(|e| Canon::Text(format!("{e:?} {text:?}")))
        };
        Canon::List(self.keys.iter().zip(row).map(of).collect())
    }
}

/// The shadow's column beside those of the root.
const NUMBER: &str = "insert_number";

fn number(text: &Option<String>) -> u64 {
    text.as_deref().and_then(|t| t.parse().ok()).expect("a number")
}

fn at(sql: &str, place: &[Option<String>]) -> String {
    let part = |i: usize| place[i].as_deref().unwrap_or("");
    sql.replace("TABLEOID", part(0)).replace("CTID", part(1))
}

/// What the contract keeps apart, level by level; None: it takes the value as one text.
enum Kept<'m> {
    Record(Vec<(&'m Output, &'m Shape, &'m Json)>),
    List(&'m Made, &'m Shape, &'m Json, &'m str),
    Maybe(&'m Made, &'m Shape, &'m Json, Maybe<'m>),
}

enum Maybe<'m> {
    From(&'m str),
    When(&'m str),
}

fn kept<'m>(value: &'m Made, shape: &'m Shape, schema: &'m Json) -> Option<Kept<'m>> {
    let inner = non_null(schema).0;
    let ty = inner["type"].as_str();
    match (value, shape, ty) {
        (Made::Record(fields), Shape::Record { fields: planned, .. }, Some("record")) => {
            let schemas = inner["fields"].as_array().expect("fields");
            let of = |f: &'m Output| {
                let shape = &planned.iter().find(|p| p.name == f.name).expect("a field").shape;
                (f, shape, schemas.iter().find(|s| s["name"] == *f.name).expect("a field"))
            };
            Some(Kept::Record(fields.iter().map(of).collect()))
        }
        (Made::List { item, tail }, Shape::List { item: planned, .. }, Some("array")) => {
            Some(Kept::List(item, planned, &inner["items"], tail))
        }
        (Made::One { item, tail }, Shape::One { item: planned, .. }, Some("record")) => {
            Some(Kept::Maybe(item, planned, inner, Maybe::From(tail)))
        }
        (Made::Case { item, when }, Shape::Case { item: planned, .. }, Some("record")) => {
            Some(Kept::Maybe(item, planned, inner, Maybe::When(when)))
        }
        _ => None,
    }
}

/// The value as the oracle asks for it: records as rows, items of a list as the text of a row each, so that every leaf
/// comes in the form of its type's output function.
fn asked(value: &Made, shape: &Shape, schema: &Json) -> String {
    match kept(value, shape, schema) {
        None => value.sql(),
        Some(Kept::Record(fields)) => {
            let fields: Vec<String> = fields.iter().map(|(f, p, s)| asked(&f.value, p, &s["type"])).collect();
            format!("ROW({})", fields.join(", "))
        }
        Some(Kept::List(item, planned, items, tail)) => {
            let item = asked(item, planned, items);
            let Some(bare) = item.strip_prefix("DISTINCT ") else {
                return format!("ARRAY(SELECT ROW({item})::text {tail})");
            };
            format!("ARRAY(SELECT ROW(d)::text FROM (SELECT DISTINCT {bare} AS d {tail}) d ORDER BY d.d)")
        }
        Some(Kept::Maybe(item, planned, record, Maybe::From(tail))) => {
            format!("(SELECT {}::text {tail})", asked(item, planned, record))
        }
        Some(Kept::Maybe(item, planned, record, Maybe::When(when))) => {
            format!("CASE WHEN {when} THEN {}::text END", asked(item, planned, record))
        }
    }
}

/// What the field must hold for the answer to what was asked.
fn made(text: Option<&str>, value: &Made, shape: &Shape, schema: &Json, special: &str) -> Fit<Canon> {
    let row = |text: &str| list(&text[1..text.len() - 1], true);
    let null = |text: Option<&str>| match (text, non_null(schema).1) {
        (None, true) => Some(Ok(Canon::Null)),
        (None, false) => Some(Err(Unholdable::Other("NULL"))),
        _ => None,
    };
    match kept(value, shape, schema) {
        None => from_text(text, &shape.expr().ty.ty, schema, special),
        Some(Kept::Record(fields)) => {
            let values = row(text.expect("a row"));
            let mut map = std::collections::BTreeMap::new();
            for ((f, p, s), text) in fields.iter().zip(values) {
                let special = s["pgspine.special"].as_str().unwrap_or("");
                map.insert(f.name.clone(), made(text.as_deref(), &f.value, p, &s["type"], special)?);
            }
            Ok(Canon::Map(map))
        }
        Some(Kept::List(item, planned, items, _)) => {
            let texts = array(text.expect("an array"))?;
            let one = |t: &Option<String>| {
                let value = row(t.as_deref().expect("a row")).remove(0);
                made(value.as_deref(), item, planned, items, special)
            };
            Ok(Canon::List(texts.iter().map(one).collect::<Fit<_>>()?))
        }
        Some(Kept::Maybe(item, planned, record, _)) => {
            null(text).unwrap_or_else(|| made(text, item, planned, record, special))
        }
    }
}

pub fn rows(client: &mut Client, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let messages =
        client.simple_query(sql).map_err(|e| e.as_db_error().map_or(e.to_string(), |d| d.message().to_owned()))?;
    let row = |m: SimpleQueryMessage| match m {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}
