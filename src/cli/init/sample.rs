//! The drafted test: a row comes and goes. The row's values are made up from the types and from what CHECKs compare with;
//! the database says whether they pass, without anything being written to it.

use serde_json::{Map, Value as Json, json};

use crate::capture::Connection;
use crate::catalogue::{Column, Table, Type, quote_ident, quote_literal};
use crate::encode::fit::numeric_typmod;

use super::select::Drafted;

/// The text of a `.test.sql`; `None` where no row could be made up.
pub fn test(sql: &mut Connection, transform: &str, root: &Table, drafted: &Drafted) -> Option<String> {
    let needed: Vec<&Column> = root.columns.iter().filter(|c| c.not_null && !c.generated).collect();
    let values: Vec<String> = needed.iter().map(|c| value(c, root)).collect::<Option<_>>()?;
    if !passes(sql, root, &needed, &values) {
        return None;
    }
    let mut key = Map::new();
    let mut condition = Vec::new();
    for (output, column) in &drafted.key {
        let place = needed.iter().position(|c| c.name == *column)?;
        key.insert(output.clone(), plain_json(needed[place], &values[place])?);
        condition.push(format!("{} = {}", quote_ident(column), literal(needed[place], &values[place])));
    }
    let table = format!("{}.{}", quote_ident(&root.name.schema), quote_ident(&root.name.name));
    let columns: Vec<String> = needed.iter().map(|c| quote_ident(&c.name)).collect();
    let literals: Vec<String> = needed.iter().zip(&values).map(|(c, v)| literal(c, v)).collect();
    let key = Json::Object(key);
    let members = key.to_string();
    let open = members.trim_end_matches('}');
    Some(format!(
        "-- transaction: a row comes\n\
         INSERT INTO {table} ({})\nVALUES ({});\n\
         -- expect {transform} {key} => {open}, ...}}\n\n\
         -- transaction: it goes\n\
         DELETE FROM {table} WHERE {};\n\
         -- expect {transform} {key} => null\n",
        columns.join(", "),
        literals.join(", "),
        condition.join(" AND "),
    ))
}

/// As PostgreSQL reads it.
fn value(column: &Column, table: &Table) -> Option<String> {
    let text = match &column.ty.ty {
        Type::Bool => "true".to_owned(),
        Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid => "1".to_owned(),
        Type::Float4 | Type::Float8 => "1.5".to_owned(),
        Type::Numeric => match numeric_typmod(column.ty.typmod) {
            Some((precision, scale)) if i64::from(precision) <= i64::from(scale) => "0".to_owned(),
            _ => "1".to_owned(),
        },
        Type::Text | Type::Varchar | Type::Bpchar | Type::Char | Type::Name | Type::Citext => {
            compared_with(&column.name, table).unwrap_or_else(|| "a".to_owned())
        }
        Type::Uuid => "00000000-0000-4000-8000-000000000001".to_owned(),
        Type::Bytea => "\\x00".to_owned(),
        Type::Date => "2026-01-02".to_owned(),
        Type::Time => "03:04:05".to_owned(),
        Type::TimeTz => "03:04:05+00".to_owned(),
        Type::Timestamp => "2026-01-02 03:04:05".to_owned(),
        Type::TimestampTz => "2026-01-02 03:04:05+00".to_owned(),
        Type::Interval => "1 day".to_owned(),
        Type::Json | Type::Jsonb | Type::Array(_) => "{}".to_owned(),
        Type::Enum(e) => e.labels.first()?.clone(),
        Type::Composite(_) | Type::Other(_) | Type::Unknown => return None,
    };
    Some(text)
}

/// The first constant of a CHECK that names the column: `status = ANY (ARRAY['draft'::text, …])`.
fn compared_with(column: &str, table: &Table) -> Option<String> {
    let quoted = quote_ident(column);
    let mentions = |text: &str| text.split(|c: char| !(c.is_alphanumeric() || "_\"".contains(c))).any(|w| w == quoted);
    let check = table.checks.iter().find(|c| mentions(&c.definition))?;
    let (_, rest) = check.definition.split_once('\'')?;
    let (text, _) = rest.split_once('\'')?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether types, domains and CHECKs take the row.
fn passes(sql: &mut Connection, table: &Table, columns: &[&Column], values: &[String]) -> bool {
    let row: Map<String, Json> = columns.iter().zip(values).map(|(c, v)| (c.name.clone(), document(c, v))).collect();
    let checks: Vec<String> = table.checks.iter().filter_map(|c| condition(&c.definition)).collect();
    if checks.len() < table.checks.len() {
        return false;
    }
    let all = if checks.is_empty() { "true".to_owned() } else { checks.join(" AND ") };
    let question = format!(
        "SELECT coalesce({all}, true) AS passes FROM (SELECT (jsonb_populate_record(NULL::{}, {}::jsonb)).*) AS {}",
        table.name.to_sql(),
        quote_literal(&Json::Object(row).to_string()),
        crate::catalogue::always_quote_ident(&table.name.name),
    );
    let answer = sql.query(&question).ok();
    answer.and_then(|rows| Some(rows.first()?.get("passes").ok()? == Some("t"))).unwrap_or(false)
}

/// What stands within `CHECK (…)`.
fn condition(definition: &str) -> Option<String> {
    let inner = definition.strip_prefix("CHECK ")?;
    let end = inner.rfind(')')?;
    Some(inner[..=end].to_owned())
}

/// `jsonb_populate_record` reads every type from a string, json and arrays from their own form.
fn document(column: &Column, value: &str) -> Json {
    match column.ty.ty {
        Type::Json | Type::Jsonb => json!({}),
        Type::Array(_) => json!([]),
        _ => json!(value),
    }
}

fn literal(column: &Column, value: &str) -> String {
    match column.ty.ty {
        Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid | Type::Float4 | Type::Float8 | Type::Numeric | Type::Bool => {
            value.to_owned()
        }
        _ => quote_literal(value),
    }
}

/// In a record's key; only where it is the same text whatever the contract.
fn plain_json(column: &Column, value: &str) -> Option<Json> {
    match &column.ty.ty {
        Type::Int2 | Type::Int4 | Type::Int8 | Type::Oid => value.parse::<i64>().ok().map(|n| json!(n)),
        Type::Bool => Some(json!(true)),
        Type::Text | Type::Varchar | Type::Uuid | Type::Enum(_) | Type::Date => Some(json!(value)),
        _ => None,
    }
}
