//! PostgreSQL as the oracle: what the SELECT answers after each commit is what the topic must hold after it.
//!
//! [`Oracle::commit`] runs one source transaction and keeps by how much each answer changed. [`Oracle::verify`] reads the
//! topics back with a reader of its own and compares: every commit's records are exactly the difference, no key twice,
//! numbered without a hole, in the partition that Java's default gives, in the order of their positions. A reconcile's
//! records are the difference between what was there and the answer at its position.
//!
//! The only writer of the tables must be the oracle's own connection: a commit's end LSN is known by the two ends of WAL
//! around it.
#![allow(dead_code, reason = "each theme uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use postgres::{Client, SimpleQueryMessage};

use crate::support::{Database, Record, read_topic, registry};

/// A transform as the oracle sees it.
#[derive(Clone, Debug)]
pub struct View {
    pub topic: String,
    pub select: String,
    /// Output columns, in key order.
    pub key: Vec<String>,
}

/// Output columns with their text forms.
pub type Row = BTreeMap<String, Option<String>>;
/// The key columns' text forms.
pub type Key = Vec<String>;
pub type Rows = BTreeMap<Key, Row>;
/// None: a tombstone.
pub type Diff = BTreeMap<Key, Option<Row>>;

pub struct Oracle {
    client: Client,
    database: String,
    pub views: Vec<View>,
    /// What each view answered before the first commit.
    base: Vec<Rows>,
    now: Vec<Rows>,
    commits: Vec<Commit>,
    last_lsn: u64,
    /// There was a reconcile besides the first: commits that it covers may cancel each other and leave no record.
    pub reconciles: bool,
    /// Each view is of another bridge, which numbers its own records.
    pub apart: bool,
}

struct Commit {
    /// The commit's end LSN lies in (before, after].
    before: u64,
    after: u64,
    diffs: Vec<Diff>,
    sql: String,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub commits: usize,
    pub records: usize,
    pub reconciled: usize,
}

/// Text forms as the interface fixes them.
const SETTINGS: &str = "SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; \
                        SET bytea_output = 'hex'; SET extra_float_digits = 1; SET synchronous_commit = on";

impl Oracle {
    /// The views' tables exist and hold whatever is there before the first commit.
    pub fn new(database: &Database, views: Vec<View>) -> Oracle {
        let conninfo = database.conninfo();
        let mut oracle = Oracle {
            client: connect(&conninfo),
            database: conninfo,
            views,
            base: vec![],
            now: vec![],
            commits: vec![],
            last_lsn: 0,
            reconciles: false,
            apart: false,
        };
        let (lsn, rows) = oracle.ask();
        oracle.last_lsn = lsn;
        oracle.base = rows.clone();
        oracle.now = rows;
        oracle
    }

    /// After the server was away.
    pub fn reconnect(&mut self) {
        self.client = connect(&self.database);
    }

    /// One source transaction of one or more statements; an error of PostgreSQL leaves everything as it was.
    pub fn try_commit(&mut self, sql: &str) -> Result<(), postgres::Error> {
        let before = self.last_lsn;
        // A simple query of several statements is one transaction; BEGIN keeps savepoints possible.
        if let Err(e) = self.client.batch_execute(&format!("BEGIN; {sql}; COMMIT")) {
            if !self.client.is_closed() {
                self.client.batch_execute("ROLLBACK")?;
            }
            return Err(e);
        }
        let (after, rows) = self.ask();
        let diffs = self.now.iter().zip(&rows).map(|(old, new)| difference(old, new)).collect();
        self.last_lsn = after;
        self.now = rows;
        self.commits.push(Commit { before, after, diffs, sql: sql.to_owned() });
        Ok(())
    }

    pub fn commit(&mut self, sql: &str) {
        if let Err(e) = self.try_commit(sql) {
            panic!("{e:?}: {sql}");
        }
    }

    /// A statement that is no change of rows (DDL, settings): the answers are taken anew, and must be the same.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// What view `i` answers now.
    pub fn rows(&self, i: usize) -> &Rows {
        &self.now[i]
    }

    pub fn commits(&self) -> usize {
        self.commits.len()
    }

    /// At or past the end of the last commit.
    pub fn lsn(&self) -> u64 {
        self.last_lsn
    }

    fn ask(&mut self) -> (u64, Vec<Rows>) {
        let mut sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::text".to_owned();
        for v in &self.views {
            let _ = write!(sql, ";\n{}", v.select.trim().trim_end_matches(';'));
        }
        let mut sets: Vec<Vec<Row>> = vec![vec![]];
        for message in self.client.simple_query(&sql).expect("PostgreSQL answers") {
            match message {
                SimpleQueryMessage::Row(row) => {
                    let texts = row.columns().iter().enumerate();
                    let row = texts.map(|(i, c)| (c.name().to_owned(), row.get(i).map(str::to_owned))).collect();
                    sets.last_mut().expect("a set").push(row);
                }
                SimpleQueryMessage::CommandComplete(_) => sets.push(vec![]),
                _ => {}
            }
        }
        let lsn = sets[0][0].values().next().cloned().flatten().expect("an LSN").parse().expect("a number");
        let rows = self.views.iter().zip(sets.drain(1..)).map(|(v, set)| {
            let mut rows = Rows::new();
            for row in set {
                let key = v.key.iter().map(|k| row[k].clone().expect("a key is not null")).collect();
                assert!(rows.insert(key, row).is_none(), "{}: the key is not unique", v.topic);
            }
            rows
        });
        let rows = rows.collect();
        (lsn, rows)
    }

    /// Reads all topics and compares; panics with what differs.
    pub fn verify(&self) -> Compared {
        let topics: Vec<Vec<Record>> = self.views.iter().map(|v| read_topic(&v.topic)).collect();
        self.compare(&topics).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Whether the topics' last values are the newest answers: a level to wait for.
    pub fn is_equal(&self) -> bool {
        self.views.iter().zip(&self.now).all(|(v, now)| {
            let mut schemas = Schemas::default();
            let folded = crate::support::fold(&read_topic(&v.topic));
            folded.len() == now.len()
                && folded.iter().all(|(k, v)| {
                    let key = schemas.key(k);
                    now.get(&key).is_some_and(|row| same(Some(&schemas.row(v)), Some(row)))
                })
        })
    }

    /// The comparison itself; `topics` in the order of the views.
    pub fn compare(&self, topics: &[Vec<Record>]) -> Result<Compared, String> {
        let mut schemas = Schemas::default();
        let mut compared = Compared { commits: self.commits.len(), ..Compared::default() };
        let mut numbers: Vec<BTreeMap<Group, BTreeSet<u64>>> = vec![BTreeMap::new(); topics.len().max(1)];
        for (i, records) in topics.iter().enumerate() {
            let topic = &self.views[i].topic;
            let groups = groups(topic, records, &mut schemas, &mut numbers[if self.apart { i } else { 0 }])?;
            self.topic(i, &groups, &mut compared).map_err(|e| format!("{topic}: {e}"))?;
        }
        for (group, seqs) in numbers.into_iter().flatten() {
            let count = seqs.len() as u64;
            if seqs.last() != Some(&(count - 1)) {
                return Err(format!("{group:?}: {count} records are numbered {seqs:?}"));
            }
        }
        Ok(compared)
    }

    fn topic(&self, view: usize, groups: &BTreeMap<Group, Diff>, compared: &mut Compared) -> Result<(), String> {
        // What the topic holds, and the commit that it stands at: 0 is before the first.
        let (mut folded, mut at) = (Rows::new(), 0);
        let mut begun = false;
        let mut rest = groups.iter().peekable();
        while let Some((group, got)) = rest.next() {
            // Interrupted where its rows were not kept: another one at a later position finishes it.
            let unfinished = group.reconcile && rest.peek().is_some_and(|(next, _)| next.reconcile);
            let inside = self.commits.partition_point(|c| c.after < group.lsn);
            let reached = match group.reconcile {
                true => {
                    // It covers all that ended before it; whether also the commit around its position, its records say.
                    let candidates = [inside, (inside + 1).min(self.commits.len())];
                    let fits = candidates.into_iter().find(|&n| {
                        let mut wanted = difference(&folded, &self.at(view, n));
                        wanted.retain(|key, _| !unfinished || got.contains_key(key));
                        same_diff(got, &wanted)
                    });
                    compared.reconciled += got.len();
                    fits.ok_or_else(|| {
                        let wanted = difference(&folded, &self.at(view, inside));
                        format!(
                            "{group:?} is not the difference to the answer after {inside} commits: {}",
                            tell(got, &wanted)
                        )
                    })?
                }
                false => {
                    let commit = self.commits.get(inside).filter(|c| c.before < group.lsn);
                    let commit = commit.ok_or_else(|| format!("{group:?} belongs to no commit: {got:?}"))?;
                    let wanted = &commit.diffs[view];
                    if !same_diff(got, wanted) {
                        return Err(format!("{group:?} after commit {inside} ({}): {}", commit.sql, tell(got, wanted)));
                    }
                    if inside < at {
                        return Err(format!("{group:?} is covered by an earlier reconcile already"));
                    }
                    compared.records += got.len();
                    inside + 1
                }
            };
            if !begun && !group.reconcile && !self.base[view].is_empty() {
                return Err(format!("{group:?} comes before the rows that were there first"));
            }
            begun = true;
            if !group.reconcile {
                self.nothing_between(view, at, reached - 1)?;
            }
            at = reached;
            for (key, row) in got {
                match row {
                    Some(row) => folded.insert(key.clone(), row.clone()),
                    None => folded.remove(key),
                };
            }
        }
        if !begun && !self.base[view].is_empty() {
            return Err("nothing is in it".to_owned());
        }
        self.nothing_between(view, at, self.commits.len())?;
        let left = difference(&folded, &self.now[view]);
        if left.is_empty() { Ok(()) } else { Err(format!("the last values differ from the answer: {left:?}")) }
    }

    /// Commits without a record must be without a difference.
    fn nothing_between(&self, view: usize, from: usize, to: usize) -> Result<(), String> {
        if self.reconciles && difference(&self.at(view, from), &self.at(view, to)).is_empty() {
            return Ok(());
        }
        for (i, c) in self.commits.iter().enumerate().take(to).skip(from) {
            if !c.diffs[view].is_empty() {
                let n = c.diffs[view].len();
                return Err(format!(
                    "{n} records of commit {i} ({:x}..{:x}: {}) are missing",
                    c.before, c.after, c.sql
                ));
            }
        }
        Ok(())
    }

    /// The answer after `n` commits.
    fn at(&self, view: usize, n: usize) -> Rows {
        let mut rows = self.base[view].clone();
        for (key, row) in self.commits.iter().take(n).flat_map(|c| &c.diffs[view]) {
            match row {
                Some(row) => rows.insert(key.clone(), row.clone()),
                None => rows.remove(key),
            };
        }
        rows
    }
}

fn connect(conninfo: &str) -> Client {
    let mut client = Client::connect(conninfo, postgres::NoTls).expect("PostgreSQL is reachable");
    client.batch_execute(SETTINGS).expect("settings");
    client
}

/// The records of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    epoch: u64,
    lsn: u64,
    /// A reconcile at a position follows the stream there.
    reconcile: bool,
}

fn groups(
    topic: &str,
    records: &[Record],
    schemas: &mut Schemas,
    numbers: &mut BTreeMap<Group, BTreeSet<u64>>,
) -> Result<BTreeMap<Group, Diff>, String> {
    let partitions = crate::support::partitions(topic);
    let mut groups: BTreeMap<Group, Diff> = BTreeMap::new();
    let mut last: BTreeMap<i32, (Group, u64)> = BTreeMap::new();
    for r in records {
        let header = |name: &str| r.headers.get(name).ok_or_else(|| format!("{topic}: no header {name}: {r:?}"));
        let group = Group {
            epoch: r.headers.get("pgspine-epoch").map_or(1, |e| e.parse().expect("a number")),
            lsn: lsn(header("pgspine-lsn")?),
            reconcile: header("pgspine-origin")? == "reconcile",
        };
        let seq: u64 = header("pgspine-seq")?.parse().expect("a number");
        let raw = r.key.as_deref().ok_or_else(|| format!("{topic}: a record without a key: {r:?}"))?;
        let wanted = (murmur2(raw) & 0x7fff_ffff) as i32 % partitions;
        if r.partition != wanted {
            return Err(format!("{topic}: partition {} instead of {wanted}: {r:?}", r.partition));
        }
        if let Some(before) = last.insert(r.partition, (group, seq))
            && before >= (group, seq)
        {
            return Err(format!("{topic}: {:?} lies behind {before:?} in partition {}", (group, seq), r.partition));
        }
        if !numbers.entry(group).or_default().insert(seq) {
            return Err(format!("{topic}: {group:?} has number {seq} twice"));
        }
        let row = r.value.as_deref().map(|v| schemas.row(v));
        let key = schemas.key(raw);
        if groups.entry(group).or_default().insert(key.clone(), row).is_some() {
            return Err(format!("{topic}: {group:?} has {key:?} twice"));
        }
    }
    Ok(groups)
}

pub fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').expect("an LSN");
    u64::from_str_radix(high, 16).expect("hex") << 32 | u64::from_str_radix(low, 16).expect("hex")
}

fn difference(old: &Rows, new: &Rows) -> Diff {
    let gone = old.keys().filter(|k| !new.contains_key(*k)).map(|k| (k.clone(), None));
    let changed = new.iter().filter(|(k, v)| !same(old.get(*k), Some(v))).map(|(k, v)| (k.clone(), Some(v.clone())));
    gone.chain(changed).collect()
}

fn same(a: Option<&Row>, b: Option<&Row>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().all(|(name, text)| b.get(name).is_some_and(|other| same_text(text, other)))
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Records and maps of a contract are JSON here, whose text form is not one.
fn same_text(a: &Option<String>, b: &Option<String>) -> bool {
    a == b
        || match (a, b) {
            (Some(a), Some(b)) if a.starts_with(['{', '[']) && b.starts_with(['{', '[']) => {
                let json = |t: &str| serde_json::from_str::<serde_json::Value>(t).ok();
                json(a).is_some() && json(a) == json(b)
            }
            _ => false,
        }
}

fn same_diff(got: &Diff, wanted: &Diff) -> bool {
    got.len() == wanted.len() && got.iter().all(|(k, v)| wanted.get(k).is_some_and(|w| same(v.as_ref(), w.as_ref())))
}

/// The first few differences.
fn tell(got: &Diff, wanted: &Diff) -> String {
    let keys: BTreeSet<&Key> = got.keys().chain(wanted.keys()).collect();
    let differ = keys.into_iter().filter(|k| match (got.get(*k), wanted.get(*k)) {
        (Some(g), Some(w)) => !same(g.as_ref(), w.as_ref()),
        _ => true,
    });
    let lines = differ.take(5).map(|k| format!("\n  {k:?}: record {:?}, PostgreSQL {:?}", got.get(k), wanted.get(k)));
    format!("{} records, {} expected{}", got.len(), wanted.len(), lines.collect::<String>())
}

/// Writer schemas by id, from the registry, as any consumer finds them.
#[derive(Default)]
pub struct Schemas(BTreeMap<u32, Schema>);

impl Schemas {
    /// The key columns' text forms; a key that is not framed is the text itself.
    pub fn key(&mut self, bytes: &[u8]) -> Key {
        match bytes.first() {
            Some(0) => match self.decode(bytes) {
                (Value::Record(fields), Schema::Record(schema)) => {
                    let texts = fields.iter().zip(&schema.fields).map(|((_, v), f)| text(v, &f.schema));
                    texts.map(|t| t.expect("a key is not null")).collect()
                }
                (other, _) => panic!("a key that is no record: {other:?}"),
            },
            _ => vec![String::from_utf8(bytes.to_vec()).expect("text")],
        }
    }

    pub fn row(&mut self, bytes: &[u8]) -> Row {
        match self.decode(bytes) {
            (Value::Record(fields), Schema::Record(schema)) => {
                fields.iter().zip(&schema.fields).map(|((name, v), f)| (name.clone(), text(v, &f.schema))).collect()
            }
            (other, _) => panic!("a value that is no record: {other:?}"),
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> (Value, &Schema) {
        assert_eq!(bytes[0], 0, "the wire format's first byte");
        let id = u32::from_be_bytes(bytes[1..5].try_into().expect("an id"));
        let schema = self.0.entry(id).or_insert_with(|| {
            let url = format!("{}/schemas/ids/{id}", registry());
            let body = ureq::get(&url).call().expect("the registry answers").body_mut().read_to_string().expect("text");
            let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            Schema::parse_str(answer["schema"].as_str().expect("a schema")).expect("a schema")
        });
        let mut rest = &bytes[5..];
        let reader = GenericDatumReader::builder(schema).build().expect("a reader");
        let value = reader.read_value(&mut rest).expect("the value is Avro");
        assert!(rest.is_empty(), "{} bytes behind the value", rest.len());
        (value, schema)
    }
}

/// PostgreSQL's text form of an Avro value; records and maps as JSON.
pub fn text(value: &Value, schema: &Schema) -> Option<String> {
    Some(match (value, schema) {
        (Value::Null, _) => return None,
        (Value::Union(i, v), Schema::Union(u)) => return text(v, &u.variants()[*i as usize]),
        (Value::Boolean(b), _) => if *b { "t" } else { "f" }.to_owned(),
        (Value::Int(i), _) => i.to_string(),
        (Value::Long(i), _) => i.to_string(),
        (Value::Float(f), _) => float(f64::from(*f), &format!("{f:e}"), 6),
        (Value::Double(f), _) => float(*f, &format!("{f:e}"), 15),
        (Value::String(s) | Value::Enum(_, s), _) => s.clone(),
        (Value::Uuid(u), _) => u.to_string(),
        (Value::Bytes(b) | Value::Fixed(_, b), _) => {
            b.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
        (Value::Decimal(d), Schema::Decimal(s)) => {
            let bytes = <Vec<u8>>::try_from(d).expect("bytes");
            decimal(&num_bigint::BigInt::from_signed_bytes_be(&bytes), s.scale)
        }
        (Value::Date(days), _) => date(i64::from(*days)),
        (Value::TimeMillis(t), _) => time(i64::from(*t) * 1000),
        (Value::TimeMicros(t), _) => time(*t),
        (Value::TimestampMillis(t), _) => timestamp(t * 1000) + "+00",
        (Value::TimestampMicros(t), _) => timestamp(*t) + "+00",
        (Value::LocalTimestampMillis(t), _) => timestamp(t * 1000),
        (Value::LocalTimestampMicros(t), _) => timestamp(*t),
        (Value::Array(items), Schema::Array(a)) => match items.iter().any(is_nested) {
            true => json(value, schema).to_string(),
            false => array(items, &a.items),
        },
        (Value::Record(_) | Value::Map(_), _) => json(value, schema).to_string(),
        other => panic!("no text form for {other:?}"),
    })
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Union(_, v) => is_nested(v),
        Value::Record(_) | Value::Map(_) => true,
        _ => false,
    }
}

/// As `jsonb_build_object` has it.
fn json(value: &Value, schema: &Schema) -> serde_json::Value {
    use serde_json::Value as Json;
    match (value, schema) {
        (Value::Null, _) => Json::Null,
        (Value::Union(i, v), Schema::Union(u)) => json(v, &u.variants()[*i as usize]),
        (Value::Boolean(b), _) => Json::Bool(*b),
        (Value::Int(_) | Value::Long(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_), _) => {
            serde_json::from_str(&text(value, schema).expect("a number")).expect("a number")
        }
        (Value::Array(items), Schema::Array(a)) => Json::Array(items.iter().map(|v| json(v, &a.items)).collect()),
        (Value::Map(items), Schema::Map(m)) => {
            Json::Object(items.iter().map(|(k, v)| (k.clone(), json(v, &m.types))).collect())
        }
        (Value::Record(fields), Schema::Record(r)) => {
            let fields = fields.iter().zip(&r.fields).map(|((name, v), f)| (name.clone(), json(v, &f.schema)));
            Json::Object(fields.collect())
        }
        _ => Json::String(text(value, schema).unwrap_or_default()),
    }
}

/// `shortest`: the digits as Rust's `{:e}` has them; PostgreSQL writes an exponent from `digits` on.
fn float(f: f64, shortest: &str, digits: i32) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = shortest.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    match exponent {
        e if e < 0 => format!("{sign}0.{}{all}", "0".repeat((-e - 1) as usize)),
        e if all.len() as i32 <= e + 1 => format!("{sign}{all}{}", "0".repeat((e + 1) as usize - all.len())),
        e => format!("{sign}{}.{}", &all[..=e as usize], &all[e as usize + 1..]),
    }
}

fn decimal(unscaled: &num_bigint::BigInt, scale: usize) -> String {
    let text = unscaled.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("-", d));
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Days since 1970 in the Gregorian calendar.
fn date(days: i64) -> String {
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    match year {
        y if y > 0 => format!("{y:04}-{month:02}-{day:02}"),
        y => format!("{:04}-{month:02}-{day:02} BC", 1 - y),
    }
}

fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        let _ = write!(text, ".{}", format!("{fraction:06}").trim_end_matches('0'));
    }
    text
}

fn timestamp(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (day, time_of_day) = (date(micros.div_euclid(DAY)), time(micros.rem_euclid(DAY)));
    match day.strip_suffix(" BC") {
        Some(day) => format!("{day} {time_of_day} BC"),
        None => format!("{day} {time_of_day}"),
    }
}

fn array(items: &[Value], schema: &Schema) -> String {
    let element = |v: &Value| -> String {
        let inner = match v {
            Value::Union(_, v) => v,
            v => v,
        };
        let Some(t) = text(v, schema) else { return "NULL".to_owned() };
        let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
        match inner {
            Value::Array(_) => t,
            _ if t.is_empty() || t.eq_ignore_ascii_case("null") || t.contains(special) => {
                format!("\"{}\"", t.replace('\\', "\\\\").replace('"', "\\\""))
            }
            _ => t,
        }
    };
    format!("{{{}}}", items.iter().map(element).collect::<Vec<_>>().join(","))
}

/// Java's default partitioner, written from its definition.
fn murmur2(data: &[u8]) -> u32 {
    let mix = |k: u32| {
        let k = k.wrapping_mul(0x5bd1_e995);
        (k ^ k >> 24).wrapping_mul(0x5bd1_e995)
    };
    let mut h = 0x9747_b28c ^ data.len() as u32;
    for chunk in data.chunks(4) {
        match <[u8; 4]>::try_from(chunk) {
            Ok(word) => h = h.wrapping_mul(0x5bd1_e995) ^ mix(u32::from_le_bytes(word)),
            Err(_) => {
                let tail = chunk.iter().rev().fold(0, |t, b| t << 8 | u32::from(*b));
                h = (h ^ tail).wrapping_mul(0x5bd1_e995);
            }
        }
    }
    h = (h ^ h >> 13).wrapping_mul(0x5bd1_e995);
    h ^ h >> 15
}

/// The comparison itself finds what can be wrong.
#[test]
fn each_kind_of_fault_is_found() {
    let mut shop = crate::crash::Shop::new("oracle", 20, "");
    shop.work(3);
    shop.catch_up();
    shop.work(20);
    shop.catch_up();
    let topics = shop.topics();
    let compared = shop.oracle.compare(&topics).unwrap();
    assert!(compared.reconciled > 0 && compared.records > 0, "{compared:?}");
    let is_stream = |r: &Record| r.headers["pgspine-origin"] == "stream";
    for t in 0..topics.len() {
        for i in (0..topics[t].len()).filter(|i| is_stream(&topics[t][*i]) || i % 7 == 0) {
            let faulty = |change: &dyn Fn(&mut Vec<Record>)| {
                let mut faulty = topics.clone();
                change(&mut faulty[t]);
                assert!(shop.oracle.compare(&faulty).is_err(), "{:?}", topics[t][i]);
            };
            faulty(&|records| drop(records.remove(i)));
            faulty(&|records| records.insert(i, records[i].clone()));
            faulty(&|records| records[i].partition = (records[i].partition + 1) % 3);
            faulty(&|records| drop(records[i].headers.insert("pgspine-seq".into(), "77".into())));
            faulty(&|records| {
                records[i].value = match &records[i].value {
                    Some(_) => None,
                    None => topics[t].iter().find_map(|r| r.value.clone()),
                }
            });
        }
    }
}

#[test]
fn text_forms_are_postgresqls() {
    assert_eq!(float(0.1, &format!("{:e}", 0.1), 15), "0.1");
    assert_eq!(float(1e15, &format!("{:e}", 1e15), 15), "1e+15");
    assert_eq!(float(-123456.5, &format!("{:e}", -123456.5), 15), "-123456.5");
    assert_eq!(float(1e14, &format!("{:e}", 1e14), 15), "100000000000000");
    assert_eq!(float(0.00001, &format!("{:e}", 0.00001), 15), "1e-05");
    assert_eq!(float(0.0001, &format!("{:e}", 0.0001), 15), "0.0001");
    assert_eq!(float(0.0, "0e0", 15), "0");
    assert_eq!(timestamp(-1), "1969-12-31 23:59:59.999999");
    assert_eq!(timestamp(951_782_400_000_000), "2000-02-29 00:00:00");
    assert_eq!(decimal(&num_bigint::BigInt::from(-5), 2), "-0.05");
    assert_eq!(murmur2(b"21") as i32, -973_932_308);
    assert_eq!(murmur2(b"foobar") as i32, -790_332_482);
}
