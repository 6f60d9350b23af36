//! What PostgreSQL answers, and what the topic must hold for it.

use std::collections::BTreeMap;

use pgspine::catalogue::Type;
use pgspine::transform::{Plan, Shape};
use postgres::{Client, SimpleQueryMessage};
use serde_json::Value as Json;

use super::canon::{Canon, from_text, non_null};
use super::transform::{Made, Output, Transform};

/// A transform as the oracle asks for it: one text per leaf of the contract.
pub struct Query {
    /// The key's texts and the leaves' in one answer.
    select: String,
    /// The same for one row, whose place is appended.
    of_row: String,
    key_of_row: String,
    places: String,
    leaves: Vec<Leaf>,
    keys: Vec<(Type, Json)>,
    tree: Json,
}

struct Leaf {
    path: String,
    ty: Type,
    schema: Json,
    special: String,
}

/// Per key what must be there; `None`: this row cannot be published.
pub type Answer = BTreeMap<Canon, Option<Canon>>;

impl Query {
    pub fn new(t: &Transform, table: &str, plan: &Plan, contract: &Json, key: Option<&Json>) -> Query {
        let mut leaves = Vec::new();
        let mut sql = Vec::new();
        walk(
            &t.outputs,
            &plan.outputs.iter().map(|o| (o.name.as_str(), &o.shape)).collect::<Vec<_>>(),
            contract,
            "",
            &mut leaves,
            &mut sql,
        );
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
        let all: Vec<(String, String)> =
            key_sql.iter().cloned().chain(sql.into_iter().enumerate().map(|(i, s)| (s, format!("l{i}")))).collect();
        let bare = table.rsplit('.').next().unwrap_or(table);
        let alias =
            t.from.rsplit(' ').next().filter(|_| t.from.contains(' ') && !t.from.ends_with('"')).unwrap_or(bare);
        let one =
            format!("(SELECT * FROM {table} WHERE tableoid::text = 'TABLEOID' AND ctid = 'CTID' OFFSET 0) AS {alias}");
        let of = |outputs: &[(String, String)], filter: bool| {
            let one = Transform { from: one.clone(), filter: t.filter.clone().filter(|_| filter), ..t.clone() };
            one.select(outputs)
        };
        Query {
            select: t.select(&all),
            of_row: of(&all, true),
            key_of_row: of(&key_sql, false),
            places: format!("SELECT tableoid::text, ctid::text FROM {table}"),
            leaves,
            keys,
            tree: contract.clone(),
        }
    }

    pub fn ask(&self, client: &mut Client) -> Answer {
        let mut answer = Answer::new();
        match rows(client, &self.select) {
            Ok(all) => all.iter().for_each(|row| self.add(row, &mut answer)),
            Err(_) => {
                for place in rows(client, &self.places).expect("the table can be read") {
                    let at = |sql: &str| {
                        sql.replace("TABLEOID", place[0].as_deref().unwrap_or(""))
                            .replace("CTID", place[1].as_deref().unwrap_or(""))
                    };
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

    fn add(&self, row: &[Option<String>], answer: &mut Answer) {
        let mut value = BTreeMap::new();
        let mut whole = true;
        for (leaf, text) in self.leaves.iter().zip(&row[self.keys.len()..]) {
            match from_text(text.as_deref(), &leaf.ty, &leaf.schema, &leaf.special) {
                Ok(canon) => drop(value.insert(leaf.path.clone(), canon)),
                Err(_) => whole = false,
            }
        }
        let value = whole.then(|| build(&self.tree, "", &value));
        let before = answer.insert(self.key(row), value);
        assert!(before.is_none(), "two rows with one key: {row:?}");
    }

    fn key(&self, row: &[Option<String>]) -> Canon {
        let of = |((ty, schema), text): (&(Type, Json), &Option<String>)| {
            from_text(text.as_deref(), ty, non_null(schema).0, "")
                .unwrap_or_else(|e| Canon::Text(format!("{e:?} {text:?}")))
        };
        Canon::List(self.keys.iter().zip(row).map(of).collect())
    }
}

/// Records of the contract that stand for `jsonb_build_object` are taken apart, everything else is a leaf.
fn walk(
    outputs: &[Output],
    planned: &[(&str, &Shape)],
    record: &Json,
    prefix: &str,
    leaves: &mut Vec<Leaf>,
    sql: &mut Vec<String>,
) {
    for field in record["fields"].as_array().expect("fields") {
        let name = field["name"].as_str().expect("a name");
        let output = outputs.iter().find(|o| o.name == name).expect("an output");
        let shape = planned.iter().find(|(n, _)| *n == name).expect("an output").1;
        let path = format!("{prefix}{name}");
        let inner = non_null(&field["type"]).0;
        match (&output.value, shape) {
            (Made::Record(fields), Shape::Record { fields: p, .. }) if inner["type"] == "record" => {
                let planned: Vec<_> = p.iter().map(|f| (f.name.as_str(), &f.shape)).collect();
                walk(fields, &planned, inner, &format!("{path}."), leaves, sql);
            }
            (value, shape) => {
                let ty = shape.expr().ty.ty.clone();
                let special = field["pgspine.special"].as_str().unwrap_or("").to_owned();
                leaves.push(Leaf { path, ty, schema: field["type"].clone(), special });
                sql.push(value.sql());
            }
        }
    }
}

fn build(record: &Json, prefix: &str, leaves: &BTreeMap<String, Canon>) -> Canon {
    let fields = record["fields"].as_array().expect("fields");
    let of = |f: &Json| {
        let name = f["name"].as_str().expect("a name");
        let path = format!("{prefix}{name}");
        let value = match leaves.get(&path) {
            Some(value) => value.clone(),
            None => build(non_null(&f["type"]).0, &format!("{path}."), leaves),
        };
        (name.to_owned(), value)
    };
    Canon::Map(fields.iter().map(of).collect())
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
