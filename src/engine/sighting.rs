//! A root on one side of a transaction, and what the transform says of it: the record, the key alone, the row as text.

use crate::encode::{KeySchema, Outcome, Rendered, RowError, body_of, plain_json};
use crate::state::image::BadImage;
use crate::transform::Lookup;
use crate::transform::eval::NoLookup;

use super::EngineError;
use super::diff::Transform;
use super::lookup::{Rows, with_row};
use super::table::Table;

/// A root on one side of the transaction.
#[derive(Clone, Copy)]
pub(super) struct Sighting<'r> {
    /// None: it is not there.
    pub image: Option<&'r [u8]>,
    /// None: the plan has one source.
    pub rows: Option<&'r Rows<'r>>,
}

impl<'r> Sighting<'r> {
    pub fn alone(image: Option<&'r [u8]>) -> Sighting<'r> {
        Sighting { image, rows: None }
    }

    fn lookup(&self) -> &dyn Lookup {
        match self.rows {
            Some(rows) => rows,
            None => &NoLookup,
        }
    }

    /// Whether what was evaluated counts.
    fn check(&self) -> Result<(), EngineError> {
        self.rows.map_or(Ok(()), Rows::check)
    }
}

/// Whether the root is an entity of this transform; if so, key and value stand in `out`, framed.
pub(super) fn render(
    t: &mut Transform,
    table: &Table,
    root: Sighting<'_>,
    out: &mut Rendered,
) -> Result<Result<bool, RowError>, EngineError> {
    let Some(image) = root.image else { return Ok(Ok(false)) };
    t.counts.evaluations += 1;
    let rendered = with_row(table, &t.sources[0].slots, image, |row| {
        t.renderer.render(&t.context, row, root.lookup(), out).map(|o| o == Outcome::Entity)
    })?;
    root.check()?;
    Ok(rendered)
}

/// The topic key alone, of a root whose value cannot be rendered.
pub(super) fn key_of<'o>(
    t: &Transform,
    table: &Table,
    root: Sighting<'_>,
    out: &'o mut Rendered,
) -> Result<Result<&'o [u8], RowError>, EngineError> {
    let key = with_row(table, &t.sources[0].slots, root.image.unwrap_or_default(), |row| {
        t.renderer.key(&t.context, row, root.lookup(), out)
    })?;
    root.check()?;
    Ok(key.map(|()| &out.key[..]))
}

/// The root's row in PostgreSQL's text forms, for a dead letter that shows it.
pub(super) fn row_values(
    t: &Transform,
    table: &Table,
    image: Option<&[u8]>,
) -> Result<Option<serde_json::Value>, BadImage> {
    let (Some(columns), Some(image)) = (&t.dead_letter_columns, image) else { return Ok(None) };
    with_row(table, &t.sources[0].slots, image, |row| {
        let text = |cell: &Option<&[u8]>| cell.map(|c| String::from_utf8_lossy(c).into_owned());
        Some(columns.iter().cloned().zip(row.iter().map(|c| serde_json::json!(text(c)))).collect())
    })
}

/// A topic key as people read it: `{"order_id":1}`.
pub(super) fn key_text(t: &Transform, key: &[u8]) -> String {
    let json = match &t.key {
        KeySchema::Avro { record, .. } => plain_json::record(record, body_of(key)).ok(),
        KeySchema::String => t.key_columns.first().map(|c| plain_json::string_key(c, key)),
    };
    json.map_or_else(|| "?".to_owned(), |j| j.to_string())
}
