//! A scene: a database, a project, the program as a process, and what every topic must hold after each commit.
//!
//! PostgreSQL is the oracle: after each commit every transform's SELECT is asked and kept. At the end the topic is read
//! back, its records are put to the commit that their header names, and each commit's records must be exactly the
//! difference between the two answers: same keys, same values, each once, and nothing else. Commits that were made while
//! a topic could only be reconciled are counted together ([`Scene::loose`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use pgspine::http::control::{Request, ask};
use pgspine::lsn::Lsn;
use postgres::{Client, SimpleQueryMessage};

use crate::support::*;

pub const INT: &str = "\"int\"";
pub const INT_OR_NULL: &str = "[\"null\", \"int\"], \"default\": null";
pub const TEXT: &str = "[\"null\", \"string\"], \"default\": null";
pub const LIMIT: Duration = Duration::from_secs(40);

/// Key columns, then the others; every value in its text form.
pub type Rows = BTreeMap<Vec<Option<String>>, Vec<Option<String>>>;

#[derive(Clone)]
pub struct Published {
    pub name: String,
    pub topic: String,
    keys: usize,
    select: String,
    contract: String,
    /// Its records are not what the SELECT says, and no check looks at them.
    event: bool,
}

struct Step {
    mark: u64,
    what: String,
    answers: BTreeMap<String, Rows>,
    loose: BTreeSet<String>,
}

/// One record, decoded.
#[derive(Clone, Debug)]
pub struct Heard {
    pub key: Vec<Option<String>>,
    pub value: Option<Vec<Option<String>>>,
    pub lsn: u64,
    pub headers: BTreeMap<String, String>,
}

pub struct Scene {
    /// First, so that it ends before the database goes.
    pub process: Option<Process>,
    pub client: Client,
    pub project: Project,
    pub prefix: String,
    published: Vec<Published>,
    steps: Vec<Step>,
    loose: BTreeSet<String>,
    environment: Vec<(String, String)>,
    /// Last, so that it goes when nobody is connected any more.
    _database: Database,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.process = None;
        // One that is left behind would hold up every slot of the server.
        let _ = self.client.batch_execute("ROLLBACK");
        let left = self.client.query("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", &[]);
        for row in left.unwrap_or_default() {
            let _ = self.client.batch_execute(&format!("ROLLBACK PREPARED '{}'", row.get::<_, String>(0)));
        }
        let mut topics: Vec<String> = Vec::new();
        for p in &self.published {
            topics.extend([p.topic.clone(), format!("{}.dead-letter", p.topic)]);
        }
        topics.push(format!("pgspine.{}.progress", self.project.name));
        delete_topics(&topics);
    }
}

pub fn delete_topics(topics: &[String]) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    let admin: AdminClient<rdkafka::client::DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", kafka()).create().expect("an admin client");
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _ = runtime.block_on(admin.delete_topics(&names, &AdminOptions::new()));
}

impl Scene {
    /// `schema` is run in a fresh database; `more` goes to the end of the configuration.
    pub fn new(name: &str, schema: &str, more: &str) -> Scene {
        let database = fresh_database(name);
        let mut client = database.client();
        client.batch_execute(schema).expect("the schema");
        client
            .batch_execute("CREATE TABLE tick (id int PRIMARY KEY, n int NOT NULL); INSERT INTO tick VALUES (1, 0)")
            .expect("tick");
        let project = Project::new(name, &database, more);
        let prefix = project.name.clone();
        let mut scene = Scene {
            process: None,
            client,
            project,
            prefix,
            published: Vec::new(),
            steps: Vec::new(),
            loose: BTreeSet::new(),
            environment: Vec::new(),
            _database: database,
        };
        scene.transform("tick", "", 1, "SELECT t.id, t.n FROM tick AS t", &[("id", "\"int\""), ("n", "\"int\"")]);
        scene
    }

    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Writes a transform, or writes it anew. The first `keys` outputs are the key. Fields are (name, type as JSON); a
    /// type may be followed by more members: `"int", "default": 0`.
    pub fn transform(&mut self, name: &str, header: &str, keys: usize, select: &str, fields: &[(&str, &str)]) {
        let record: String = name.split(['_', '/']).map(|p| p[..1].to_uppercase() + &p[1..]).collect();
        let listed: Vec<String> = fields.iter().map(|(n, t)| format!("{{\"name\": \"{n}\", \"type\": {t}}}")).collect();
        let contract = format!(
            "{{\"type\": \"record\", \"name\": \"{record}\", \"namespace\": \"test\", \"fields\": [{}]}}",
            listed.join(", ")
        );
        self.transform_with(name, header, keys, select, &fields.iter().map(|f| f.0).collect::<Vec<_>>(), &contract);
    }

    pub fn transform_with(
        &mut self,
        name: &str,
        header: &str,
        keys: usize,
        select: &str,
        fields: &[&str],
        contract: &str,
    ) {
        let topic = self.topic(name);
        let key: Vec<String> = fields[..keys].iter().map(|f| format!("{f:?}")).collect();
        let sql = format!("/* pgspine\ntopic = \"{topic}\"\nkey = [{}]\n{header}\n*/\n{select};\n", key.join(", "));
        self.project.transform(name, &sql, contract);
        self.published.retain(|p| p.topic != topic);
        self.published.push(Published {
            name: name.into(),
            topic,
            keys,
            select: select.into(),
            contract: contract.into(),
            event: header.contains("kind = \"event\""),
        });
    }

    /// Removes the files; the topic is compared no longer.
    pub fn remove(&mut self, name: &str) -> Published {
        for ending in ["sql", "avsc"] {
            std::fs::remove_file(self.project.dir().join("transforms").join(name).with_extension(ending))
                .expect("a file");
        }
        let at = self.published.iter().position(|p| p.name == name).expect("a transform");
        self.published.remove(at)
    }

    fn published(&self, name: &str) -> &Published {
        self.published.iter().find(|p| p.name == name).expect("a transform")
    }

    /// `pgspine run` with more arguments; waits until it streams.
    pub fn start(&mut self, more: &[&str]) {
        self.spawn(more);
        self.level("streaming", |s| (s["state"] == "streaming").then_some(()));
    }

    pub fn spawn(&mut self, more: &[&str]) {
        let mut arguments = vec!["run"];
        arguments.extend(more);
        let environment: Vec<(&str, &str)> = self.environment.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        self.process = Some(self.project.spawn(&arguments, &environment));
    }

    /// A start that has to end with `code` and to say `words`.
    pub fn refused(&mut self, more: &[&str], code: i32, words: &[&str]) -> String {
        self.spawn(more);
        self.ends(code, words)
    }

    /// The running process has to end with `code` and to say `words`.
    pub fn ends(&mut self, code: i32, words: &[&str]) -> String {
        let mut process = self.process.take().expect("it runs");
        let ended = process.code(LIMIT);
        let log = process.log();
        assert_eq!(ended, code, "{log}");
        for w in words {
            assert!(log.contains(w), "{w:?} is not said:\n{log}");
        }
        log
    }

    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        assert_eq!(process.stop(), 0, "{}", process.log());
    }

    pub fn kill9(&mut self) {
        self.process.take().expect("it runs").kill9();
    }

    pub fn status(&self) -> Option<serde_json::Value> {
        ask(&self.project.dir().join("state"), &Request::Status, Duration::from_secs(5)).ok()
    }

    pub fn level<T>(&mut self, what: &str, mut level: impl FnMut(&serde_json::Value) -> Option<T>) -> T {
        let dir = self.project.dir().join("state");
        let process = self.process.as_mut().expect("it runs");
        process.until(what, LIMIT, || {
            let status = ask(&dir, &Request::Status, Duration::from_secs(5)).ok()?;
            level(&status)
        })
    }

    pub fn remove_state(&self) {
        std::fs::remove_dir_all(self.project.dir().join("state")).expect("the state directory");
    }

    /// From now on commits count together for this transform, until [`Scene::exact`].
    pub fn loose(&mut self, name: &str) {
        let topic = self.topic(name);
        self.loose.insert(topic);
    }

    /// All transforms.
    pub fn all_loose(&mut self) {
        self.loose = self.published.iter().map(|p| p.topic.clone()).collect();
    }

    pub fn exact(&mut self) {
        self.loose.clear();
    }

    /// One transaction.
    pub fn commit(&mut self, sql: &str) {
        self.client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        self.observe(sql);
    }

    /// What stands in the database now is what the topics must hold at this point.
    pub fn observe(&mut self, what: &str) {
        let mut answers = BTreeMap::new();
        for p in self.published.clone().into_iter().filter(|p| !p.event) {
            let rows = self.ask(&p);
            answers.insert(p.topic, rows);
        }
        let mark = self.lsn();
        self.steps.push(Step { mark, what: what.to_owned(), answers, loose: self.loose.clone() });
    }

    /// The end of WAL after everything committed so far, of the server that `client` speaks to.
    pub fn lsn(&mut self) -> u64 {
        let row = self.client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::text", &[]).expect("LSN");
        row.get::<_, String>(0).parse().expect("a number")
    }

    /// What the SELECT says now.
    pub fn answer(&mut self, name: &str) -> Rows {
        let p = self.published(name).clone();
        self.ask(&p)
    }

    /// What the topic holds now, in the terms of the present contract.
    pub fn held(&self, name: &str) -> Rows {
        let mut held = Rows::new();
        for h in self.heard(name) {
            match h.value {
                Some(v) => held.insert(h.key, v),
                None => held.remove(&h.key),
            };
        }
        held
    }

    pub fn slot(&self) -> String {
        format!("pgspine_{}", self.project.name)
    }

    fn ask(&mut self, p: &Published) -> Rows {
        let schema = Schema::parse_str(&p.contract).expect("a contract");
        let Schema::Record(record) = &schema else { panic!("a record") };
        let columns: Vec<String> = record.fields.iter().map(|f| column(&f.name, &f.schema)).collect();
        let settings = "SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1";
        self.client.batch_execute(settings).expect("settings");
        let query = format!("SELECT {} FROM ({}) AS q", columns.join(", "), p.select);
        let answer = self.client.simple_query(&query).unwrap_or_else(|e| panic!("{query}: {e:?}"));
        let mut rows = Rows::new();
        for message in answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let mut values: Vec<Option<String>> = (0..columns.len()).map(|i| row.get(i).map(str::to_owned)).collect();
            let rest = values.split_off(p.keys);
            assert!(rows.insert(values, rest).is_none(), "two rows with one key");
        }
        rows
    }

    /// Waits until everything committed so far is in Kafka. A record of `tick`, which no check looks at, moves it on.
    pub fn sync(&mut self) {
        self.observe("everything so far");
        let mark = self.steps.last().map_or(0, |s| s.mark);
        self.client.batch_execute("UPDATE tick SET n = n + 1").expect("a tick");
        self.level("everything to be in Kafka", |s| {
            let emitted: Lsn = s["positions"]["emitted"].as_str()?.parse().ok()?;
            // At the mark itself a reconcile may still be going on.
            (emitted.0 > mark).then_some(())
        });
    }

    /// Every record of a topic, in the order of versions.
    pub fn heard(&self, name: &str) -> Vec<Heard> {
        let p = self.published(name).clone();
        self.heard_of(&p)
    }

    pub fn heard_of(&self, p: &Published) -> Vec<Heard> {
        let reader = Schema::parse_str(&p.contract).expect("a contract");
        let mut writers: BTreeMap<u32, Schema> = BTreeMap::new();
        let mut value = |bytes: &[u8]| {
            let (id, body) = frame(bytes);
            let writer = writers.entry(id).or_insert_with(|| schema(id)).clone();
            let build = GenericDatumReader::builder(&writer);
            // apache-avro resolves no decimal that is shorter than its precision: only what has to be resolved is.
            let reading = match writer.canonical_form() == reader.canonical_form() {
                true => build.build(),
                false => build.reader_schema(&reader).build(),
            };
            reading.and_then(|r| r.read_value(&mut &body[..])).expect("the value's schema reads it")
        };
        let mut keys: BTreeMap<u32, Schema> = BTreeMap::new();
        let mut heard: Vec<((u32, u64, u64), Heard)> = Vec::new();
        let mut newest: BTreeMap<i32, (u32, u64, u64)> = BTreeMap::new();
        for r in read_topic(&p.topic) {
            let lsn = r.headers.get("pgspine-lsn").map_or(0, |l| l.parse::<Lsn>().expect("an LSN").0);
            let seq = r.headers.get("pgspine-seq").map_or(0, |s| s.parse().expect("a number"));
            let epoch = r.headers.get("pgspine-epoch").map_or(1, |e| e.parse().expect("a number"));
            let version = (epoch, lsn, seq);
            let before = newest.insert(r.partition, version);
            assert!(before.is_none_or(|b| b < version) || lsn == 0, "{}: {before:?} before {version:?}", p.topic);
            let key = r.key.as_deref().expect("a key");
            let (id, body) = frame(key);
            let schema = keys.entry(id).or_insert_with(|| schema(id)).clone();
            let key =
                GenericDatumReader::builder(&schema).build().and_then(|r| r.read_value(&mut &body[..])).expect("a key");
            let key = texts(key);
            let value = r.value.as_deref().map(|v| {
                let mut all = texts(value(v));
                let rest = all.split_off(p.keys);
                assert_eq!(all, key, "{}: key and value agree", p.topic);
                rest
            });
            heard.push((version, Heard { key, value, lsn, headers: r.headers }));
        }
        heard.sort_by_key(|(version, _)| *version);
        heard.into_iter().map(|(_, h)| h).collect()
    }

    /// Each commit's records are the difference between what the SELECT said before and after it.
    pub fn check(&self) {
        for p in self.published.iter().filter(|p| p.name != "tick" && !p.event) {
            self.check_one(p);
        }
    }

    fn check_one(&self, p: &Published) {
        let heard = self.heard_of(p);
        let mut held = Rows::new();
        let mut at = 0;
        let mut first = true;
        for (i, step) in self.steps.iter().enumerate() {
            let Some(answer) = step.answers.get(&p.topic) else { continue };
            let last = i + 1 == self.steps.len();
            if step.loose.contains(&p.topic) && !last {
                continue;
            }
            let of_step: Vec<&Heard> = heard[at..].iter().take_while(|h| h.lsn <= step.mark).collect();
            at += of_step.len();
            let context = || format!("{} after {:?} (up to {})", p.topic, step.what, Lsn(step.mark));
            let mut told: BTreeMap<&Vec<Option<String>>, &Option<Vec<Option<String>>>> = BTreeMap::new();
            for h in &of_step {
                if told.insert(&h.key, &h.value).is_some() && !first && !step.loose.contains(&p.topic) {
                    panic!("{}: key {:?} is written twice\n{of_step:#?}", context(), h.key);
                }
            }
            let wanted = difference(&held, answer);
            let wanted: BTreeMap<_, _> = wanted.iter().collect();
            assert_eq!(told, wanted, "{}", context());
            held = answer.clone();
            first = false;
        }
        assert_eq!(at, heard.len(), "{}: records after the last commit: {:#?}", p.topic, &heard[at..]);
    }

    /// How many records a topic holds, whatever they say.
    pub fn count(&self, name: &str) -> usize {
        read_topic(&self.topic(name)).len()
    }
}

/// PostgreSQL's side of [`text`].
fn column(name: &str, schema: &Schema) -> String {
    let schema = match schema {
        Schema::Union(u) => u.variants().iter().find(|s| !matches!(s, Schema::Null)).expect("a type"),
        s => s,
    };
    match schema {
        Schema::TimestampMicros => format!("(extract(epoch FROM q.{name:?}) * 1000000)::bigint::text"),
        _ => format!("(q.{name:?})::text"),
    }
}

fn difference(before: &Rows, after: &Rows) -> BTreeMap<Vec<Option<String>>, Option<Vec<Option<String>>>> {
    let mut all = BTreeMap::new();
    for (key, value) in after {
        if before.get(key) != Some(value) {
            all.insert(key.clone(), Some(value.clone()));
        }
    }
    for key in before.keys().filter(|k| !after.contains_key(*k)) {
        all.insert(key.clone(), None);
    }
    all
}

pub fn frame(bytes: &[u8]) -> (u32, &[u8]) {
    assert_eq!(bytes[0], 0, "Confluent's magic byte");
    (u32::from_be_bytes(bytes[1..5].try_into().expect("four bytes")), &bytes[5..])
}

pub fn schema(id: u32) -> Schema {
    let mut answer = ureq::get(format!("{}/schemas/ids/{id}", registry())).call().expect("the registry answers");
    let body: serde_json::Value =
        serde_json::from_str(&answer.body_mut().read_to_string().expect("text")).expect("JSON");
    Schema::parse_str(body["schema"].as_str().expect("a schema")).expect("an Avro schema")
}

fn texts(value: Value) -> Vec<Option<String>> {
    let Value::Record(fields) = value else { panic!("a record, not {value:?}") };
    fields.into_iter().map(|(_, v)| text(v)).collect()
}

/// PostgreSQL's text form of the types that these tests use.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Union(_, inner) => text(*inner),
        Value::Int(n) => Some(n.to_string()),
        Value::Long(n) => Some(n.to_string()),
        Value::TimestampMicros(n) => Some(n.to_string()),
        // Two digits after the point, as all decimals here have.
        Value::Decimal(d) => {
            let bytes: Vec<u8> = d.try_into().expect("bytes");
            let sign = if bytes.first().is_some_and(|b| *b > 127) { 255 } else { 0 };
            let mut wide = [sign; 16];
            wide[16 - bytes.len()..].copy_from_slice(&bytes);
            let n = i128::from_be_bytes(wide);
            Some(format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100))
        }
        Value::Boolean(b) => Some(b.to_string()),
        Value::String(s) => Some(s),
        Value::Enum(_, s) => Some(s),
        Value::Bytes(b) => Some(format!("\\x{}", b.iter().map(|b| format!("{b:02x}")).collect::<String>())),
        Value::Array(all) => {
            let all: Vec<String> = all.into_iter().map(|v| text(v).unwrap_or("NULL".into())).collect();
            Some(format!("{{{}}}", all.join(",")))
        }
        other => panic!("no text form here for {other:?}"),
    }
}
