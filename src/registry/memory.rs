//! A schema registry in the process: the calls that our client makes, for the demo and for tests.
//!
//! It keeps what it is told in memory and answers with Confluent's error codes. Schemas are equal when their JSON is,
//! whatever the order of keys; compatibility is the rule of the Avro specification, where a union must be readable in
//! all of its branches and an enum in all of its symbols.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::encode::avro::{Avro, Decimal, Record};
use crate::encode::contract::read_schema;

/// The server ends when this is dropped.
pub struct Handle {
    pub url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub fn spawn() -> std::io::Result<Handle> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serve = move || {
        runtime.block_on(async {
            // Dropping the server drops its connections: clients keep theirs open.
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = axum::serve(listener, router()) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("registry".into()).spawn(serve)?;
    Ok(Handle { url, stop: Some(stop), thread: Some(thread) })
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread has been printed; there is nothing left to end.
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Store {
    /// By id − 1: the normalized JSON that makes schemas equal, and the text as it was registered.
    schemas: Vec<(Value, String)>,
    /// Ids in the order of versions.
    subjects: BTreeMap<String, Vec<usize>>,
    levels: BTreeMap<String, String>,
}

type Shared = Arc<Mutex<Store>>;
type Reply = (StatusCode, Json<Value>);

const LEVELS: [&str; 7] =
    ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

fn router() -> Router {
    Router::new()
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup).delete(delete))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/compatibility/subjects/{subject}/versions", post(compatibility))
        .route("/config", get(global_level))
        .route("/config/{subject}", get(level).put(set_level))
        .route("/schemas/ids/{id}", get(schema))
        .with_state(Shared::default())
}

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, Store> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ok(value: Value) -> Reply {
    (StatusCode::OK, Json(value))
}

fn error(code: u32, message: impl Into<String>) -> Reply {
    let status = StatusCode::from_u16((code / 100) as u16).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "error_code": code, "message": message.into() })))
}

fn no_subject(subject: &str) -> Reply {
    error(40401, format!("Subject '{subject}' not found."))
}

async fn subjects(State(shared): State<Shared>) -> Reply {
    ok(json!(locked(&shared).subjects.keys().collect::<Vec<_>>()))
}

async fn versions(State(shared): State<Shared>, Path(subject): Path<String>) -> Reply {
    match locked(&shared).subjects.get(&subject) {
        Some(ids) => ok(json!((1..=ids.len()).collect::<Vec<_>>())),
        None => no_subject(&subject),
    }
}

async fn lookup(State(shared): State<Shared>, Path(subject): Path<String>, Json(request): Json<Value>) -> Reply {
    let (normal, text, _) = match read(&request) {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    let store = locked(&shared);
    let Some(ids) = store.subjects.get(&subject) else { return no_subject(&subject) };
    match ids.iter().position(|id| store.schemas[id - 1].0 == normal) {
        Some(i) => ok(json!({ "subject": subject, "version": i + 1, "id": ids[i], "schema": text })),
        None => error(40403, "Schema not found"),
    }
}

async fn register(State(shared): State<Shared>, Path(subject): Path<String>, Json(request): Json<Value>) -> Reply {
    let (normal, text, ty) = match read(&request) {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    let mut store = locked(&shared);
    let ids = store.subjects.get(&subject).cloned().unwrap_or_default();
    if let Some(id) = ids.iter().find(|id| store.schemas[**id - 1].0 == normal) {
        return ok(json!({ "id": id }));
    }
    let reasons = store.incompatibilities(&subject, &ty);
    if !reasons.is_empty() {
        let message = format!(
            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {reasons:?}"
        );
        return error(40901, message);
    }
    let known = store.schemas.iter().position(|(n, _)| *n == normal);
    let id = known.unwrap_or_else(|| {
        store.schemas.push((normal, text));
        store.schemas.len() - 1
    }) + 1;
    store.subjects.entry(subject).or_default().push(id);
    ok(json!({ "id": id }))
}

async fn compatibility(State(shared): State<Shared>, Path(subject): Path<String>, Json(request): Json<Value>) -> Reply {
    let ty = match read(&request) {
        Ok((_, _, ty)) => ty,
        Err(reply) => return reply,
    };
    let store = locked(&shared);
    if !store.subjects.contains_key(&subject) {
        return no_subject(&subject);
    }
    let reasons = store.incompatibilities(&subject, &ty);
    ok(json!({ "is_compatible": reasons.is_empty(), "messages": reasons }))
}

async fn global_level() -> Reply {
    ok(json!({ "compatibilityLevel": "BACKWARD" }))
}

async fn level(State(shared): State<Shared>, Path(subject): Path<String>) -> Reply {
    ok(json!({ "compatibilityLevel": locked(&shared).level(&subject) }))
}

async fn set_level(State(shared): State<Shared>, Path(subject): Path<String>, Json(request): Json<Value>) -> Reply {
    let level = request["compatibility"].as_str().unwrap_or_default().to_owned();
    if !LEVELS.contains(&level.as_str()) {
        return error(42203, format!("Invalid compatibility level. Valid values are {}", LEVELS.join(", ")));
    }
    locked(&shared).levels.insert(subject, level.clone());
    ok(json!({ "compatibility": level }))
}

async fn schema(State(shared): State<Shared>, Path(id): Path<usize>) -> Reply {
    let store = locked(&shared);
    match id.checked_sub(1).and_then(|i| store.schemas.get(i)) {
        Some((_, text)) => ok(json!({ "schema": text })),
        None => error(40403, format!("Schema {id} not found")),
    }
}

async fn delete(State(shared): State<Shared>, Path(subject): Path<String>) -> Reply {
    let mut store = locked(&shared);
    store.levels.remove(&subject);
    match store.subjects.remove(&subject) {
        Some(ids) => ok(json!((1..=ids.len()).collect::<Vec<_>>())),
        None => no_subject(&subject),
    }
}

/// Normalized JSON, text and type of the schema in a request.
fn read(request: &Value) -> Result<(Value, String, Avro), Reply> {
    let text = request["schema"].as_str().unwrap_or_default();
    let invalid = |why: String| error(42201, format!("Invalid schema: {why}"));
    let ty = read_schema(text).map_err(invalid)?;
    let mut normal: Value = serde_json::from_str(text).map_err(|e| invalid(e.to_string()))?;
    normal.sort_all_objects();
    Ok((normal, text.to_owned(), ty))
}

impl Store {
    fn level(&self, subject: &str) -> &str {
        self.levels.get(subject).map_or("BACKWARD", String::as_str)
    }

    fn incompatibilities(&self, subject: &str, new: &Avro) -> Vec<String> {
        let level = self.level(subject);
        let ids = self.subjects.get(subject).map(Vec::as_slice).unwrap_or_default();
        let looked_at = if level.ends_with("_TRANSITIVE") { ids } else { &ids[ids.len().saturating_sub(1)..] };
        let mut reasons = Vec::new();
        for id in looked_at {
            let Ok(old) = read_schema(&self.schemas[id - 1].1) else { continue };
            for (writer, reader, wanted) in [(&old, new, "BACKWARD"), (new, &old, "FORWARD")] {
                if (level.starts_with(wanted) || level.starts_with("FULL"))
                    && let Err(why) = can_read(writer, reader, "")
                {
                    reasons.push(format!("{wanted}, schema id {id}: {why}"));
                }
            }
        }
        reasons
    }
}

/// Whether each value of the writer's type can be read; logical types do not count, as in other registries.
fn can_read(writer: &Avro, reader: &Avro, path: &str) -> Result<(), String> {
    use Avro::{Array, Boolean, Bytes, Double, Enum, Fixed, Float, Int, Long, Map, Null, String as Text, Union};
    let wrong = || Err(format!("{path} was {}, is {}", writer.describe(), reader.describe()));
    match (physical(writer), physical(reader)) {
        (Union(branches), reader) => branches.iter().try_for_each(|b| can_read(b, &reader, path)),
        (writer, Union(branches)) if branches.iter().any(|b| can_read(&writer, b, path).is_ok()) => Ok(()),
        (Null, Null) | (Boolean, Boolean) | (Int, Int | Long | Float | Double) | (Long, Long | Float | Double) => {
            Ok(())
        }
        (Float, Float | Double) | (Double, Double) | (Text | Bytes, Text | Bytes) => Ok(()),
        (Array(w), Array(r)) => can_read(&w, &r, &format!("{path}[]")),
        (Map(w), Map(r)) => can_read(&w, &r, &format!("{path}{{}}")),
        (Fixed(w), Fixed(r)) if same_name(&w.name, &r.name) && w.size == r.size => Ok(()),
        (Enum(w), Enum(r)) if same_name(&w.name, &r.name) => {
            match w.symbols.iter().find(|s| !r.symbols.contains(s) && r.default.is_none()) {
                Some(symbol) => Err(format!("{path}: the symbol {symbol} is missing")),
                None => Ok(()),
            }
        }
        (Avro::Record(w), Avro::Record(r)) if same_name(&w.name, &r.name) || r.aliases.contains(&w.name) => {
            can_read_record(&w, &r, path)
        }
        _ => wrong(),
    }
}

fn can_read_record(writer: &Record, reader: &Record, path: &str) -> Result<(), String> {
    for field in &reader.fields {
        let path = format!("{path}/{}", field.name);
        match writer.fields.iter().find(|w| w.name == field.name || field.aliases.contains(&w.name)) {
            Some(written) => can_read(&written.ty, &field.ty, &path)?,
            None if field.default.is_some() => {}
            None => return Err(format!("{path} has no default and was not written")),
        }
    }
    Ok(())
}

fn same_name(a: &str, b: &str) -> bool {
    a.rsplit('.').next() == b.rsplit('.').next()
}

fn physical(ty: &Avro) -> Avro {
    match ty {
        Avro::Date | Avro::TimeMillis => Avro::Int,
        Avro::TimeMicros
        | Avro::TimestampMillis
        | Avro::TimestampMicros
        | Avro::LocalTimestampMillis
        | Avro::LocalTimestampMicros => Avro::Long,
        Avro::UuidString => Avro::String,
        Avro::UuidFixed(f) | Avro::Decimal(Decimal { fixed: Some(f), .. }) => Avro::Fixed(f.clone()),
        Avro::Decimal(Decimal { fixed: None, .. }) => Avro::Bytes,
        other => other.clone(),
    }
}
