//! Every key of `pgspine.toml` with its default, in the order of the reference.

use super::document::Document;
use super::section::Section;
use super::*;

/// Everything wrong with the file, or the configuration.
pub(super) fn read(path: &Path, text: String, variables: BTreeMap<String, String>) -> Result<Config, Vec<Diagnostic>> {
    let document = Document::new(path, text, variables);
    let config = all(&document);
    let findings = document.into_findings();
    config.filter(|_| findings.is_empty()).ok_or(findings)
}

fn all(document: &Document) -> Option<Config> {
    let mut top = Section::top(document)?;
    let bridge = bridge(top.section("bridge"), document);
    let name = bridge.name.clone();
    let config = Config {
        file: document.file.clone(),
        postgres: postgres(top.section("postgres"), &name, document),
        kafka: kafka(top.section("kafka"), &name),
        registry: registry(top.section("registry"), document),
        topics: topics(top.section("topics")),
        topic: top.sections("topic").into_iter().map(|(name, section)| (name, topic(section))).collect(),
        commit: commit(top.section("commit")),
        reconcile: reconcile(top.section("reconcile")),
        limits: limits(top.section("limits")),
        http: http(top.section("http")),
        bridge,
    };
    top.finish();
    Some(config)
}

/// The value, or a finding that the key is missing. A key that is there but wrong has its finding already.
fn required<T: Default>(
    s: &mut Section<'_>,
    key: &'static str,
    example: &str,
    get: impl Fn(&mut Section<'_>) -> Option<T>,
) -> T {
    if !s.has(key) {
        s.missing(key, example);
    }
    get(s).unwrap_or_default()
}

fn bridge(mut s: Section<'_>, document: &Document) -> Bridge {
    let bridge = Bridge {
        name: required(&mut s, "name", "shop", |s| s.parsed("name", value::name)),
        transforms: document.dir.join(s.text("transforms").unwrap_or_else(|| "transforms".to_owned())),
        state_dir: document.dir.join(s.text("state_dir").unwrap_or_else(|| "state".to_owned())),
        on_halt: s.choice("on_halt", &[("exit", OnHalt::Exit), ("stay", OnHalt::Stay)], OnHalt::Exit),
    };
    s.finish();
    bridge
}

fn postgres(mut s: Section<'_>, name: &str, document: &Document) -> Postgres {
    let derived = format!("pgspine_{}", name.replace('-', "_"));
    if s.has("password") && s.has("password_file") {
        s.conflict("postgres.password and postgres.password_file exclude each other");
    }
    let url = required(&mut s, "url", "postgres://pgspine@db:5432/shop", |s| s.template("url").map(Some));
    let file = s.text("password_file");
    let written = s.template("password");
    let password = match (file, written, document.variable("PGPASSWORD")) {
        (Some(file), _, _) => PasswordSource::File(document.dir.join(file)),
        (None, Some(template), _) => PasswordSource::Written(template),
        (None, None, Some(text)) => PasswordSource::Environment(Secret::new(text)),
        (None, None, None) => PasswordSource::Absent,
    };
    let postgres = Postgres {
        url: url.unwrap_or_else(|| Template::literal("")),
        password,
        slot: s.parsed("slot", value::slot_name).unwrap_or_else(|| derived.clone()),
        temporary_slot: s.boolean("temporary_slot", false),
        failover_slot: s.boolean("failover_slot", true),
        publication: s.parsed("publication", publication_name).unwrap_or(derived),
        publication_mode: s.choice(
            "publication_mode",
            &[("manage", Mode::Manage), ("verify", Mode::Verify)],
            Mode::Manage,
        ),
        publication_columns: s.choice(
            "publication_columns",
            &[("all", PublicationColumns::All), ("used", PublicationColumns::Used)],
            PublicationColumns::All,
        ),
        search_path: s.text("search_path").unwrap_or_else(|| "public".to_owned()),
    };
    s.finish();
    postgres
}

fn publication_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 63 || text.contains('\0') {
        return Err(format!("{text:?} is not a publication name of 1 to 63 bytes"));
    }
    Ok(text.to_owned())
}

fn kafka(mut s: Section<'_>, name: &str) -> Kafka {
    let kafka = Kafka {
        bootstrap_servers: required(&mut s, "bootstrap_servers", "kafka:9092", |s| {
            s.parsed("bootstrap_servers", |t| not_empty(t, "a list of HOST:PORT"))
        }),
        transactional_id: s
            .parsed("transactional_id", |t| not_empty(t, "a transactional id"))
            .unwrap_or_else(|| format!("pgspine.{name}")),
        progress_topic: s
            .parsed("progress_topic", |t| not_empty(t, "a topic name").and_then(|t| value::topic_name(&t)))
            .unwrap_or_else(|| format!("pgspine.{name}.progress")),
        headers: s.choice(
            "headers",
            &[("none", Headers::None), ("standard", Headers::Standard), ("full", Headers::Full)],
            Headers::Standard,
        ),
        properties: s.free("properties"),
    };
    s.finish();
    kafka
}

fn not_empty(text: &str, what: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err(format!("{text:?} is not {what}")) } else { Ok(text.to_owned()) }
}

const COMPATIBILITY: [&str; 7] =
    ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

fn registry(mut s: Section<'_>, document: &Document) -> Registry {
    let levels: Vec<(&str, &str)> = COMPATIBILITY.iter().map(|l| (*l, *l)).collect();
    if s.has("bearer_token") && (s.has("username") || s.has("password")) {
        s.conflict("registry.bearer_token excludes registry.username and registry.password");
    }
    let path = |s: &mut Section<'_>, key| s.text(key).map(|p| document.dir.join(p));
    let registry = Registry {
        urls: required(&mut s, "url", "http://registry:8081", |s| s.parsed("url", registry_urls)),
        mode: s.choice("mode", &[("register", Mode::Manage), ("verify", Mode::Verify)], Mode::Manage),
        compatibility: s.choice("compatibility", &levels, "FULL_TRANSITIVE").to_owned(),
        username: s.template("username"),
        password: s.template("password"),
        bearer_token: s.template("bearer_token"),
        ca: path(&mut s, "ca"),
        cert: path(&mut s, "cert"),
        key: path(&mut s, "key"),
    };
    s.finish();
    registry
}

/// The message must not repeat the text: a URL may carry a password.
fn registry_urls(text: &str) -> Result<Vec<String>, String> {
    let urls: Vec<String> = text.split(',').map(|u| u.trim().trim_end_matches('/').to_owned()).collect();
    let good = |u: &String| u.starts_with("http://") || u.starts_with("https://");
    if urls.iter().any(|u| u.split('/').nth(2).is_some_and(|authority| authority.contains('@'))) {
        return Err("it holds credentials: write username and password (or bearer_token) beside it".to_owned());
    }
    if urls.iter().all(good) { Ok(urls) } else { Err("each address begins with http:// or https://".to_owned()) }
}

/// Tombstones have to outlive a slow consumer, and a compacted topic has to be compacted in time.
const ENTITY: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("delete.retention.ms", "604800000"),
    ("max.compaction.lag.ms", "86400000"),
    ("segment.ms", "86400000"),
];
const EVENT: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "604800000"), ("message.timestamp.type", "LogAppendTime")];

fn topics(mut s: Section<'_>) -> Topics {
    let over = |defaults: &[(&str, &str)], written: BTreeMap<String, String>| {
        let mut all: BTreeMap<String, String> =
            defaults.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        all.extend(written);
        all
    };
    let topics = Topics {
        mode: s.choice("mode", &[("create", Mode::Manage), ("verify", Mode::Verify)], Mode::Manage),
        prefix: s.parsed("prefix", value::topic_name).unwrap_or_default(),
        partitions: partitions(&mut s).unwrap_or(6),
        replication_factor: replication_factor(&mut s).unwrap_or(-1),
        entity: over(&ENTITY, s.free_text("entity")),
        event: over(&EVENT, s.free_text("event")),
    };
    s.finish();
    topics
}

fn partitions(s: &mut Section<'_>) -> Option<i32> {
    s.integer("partitions", "at least 1", |n| n >= 1)
}

fn replication_factor(s: &mut Section<'_>) -> Option<i32> {
    s.integer("replication_factor", "-1 (the broker's default) or 1 and more", |n| {
        n == -1 || (1..=i64::from(i16::MAX)).contains(&n)
    })
}

fn topic(mut s: Section<'_>) -> TopicOverride {
    let words = [("halt", Some(OnError::Halt)), ("dead_letter", Some(OnError::DeadLetter))];
    let topic = TopicOverride {
        partitions: partitions(&mut s),
        replication_factor: replication_factor(&mut s),
        config: s.free_text("config"),
        on_error: s.choice("on_error", &words, None),
        dead_letter_rows: s.boolean("dead_letter_rows", false),
    };
    s.finish();
    topic
}

fn commit(mut s: Section<'_>) -> Commit {
    // Beyond it the broker's own default limit for a transaction (60 s) comes near.
    let interval = |text: &str| match value::duration(text)? {
        d if d > Duration::from_secs(30) => Err(format!("{text:?} is more than 30s")),
        d => Ok(d),
    };
    let count = |s: &mut Section<'_>, key| s.integer::<u64>(key, "at least 1", |n| n >= 1);
    let size = |s: &mut Section<'_>, key| {
        s.parsed(key, |t| match value::size(t)? {
            0 => Err(format!("{t:?} leaves no room for a record")),
            n => Ok(n),
        })
    };
    let commit = Commit {
        interval: s.parsed("interval", interval).unwrap_or(Duration::from_millis(50)),
        max_records: count(&mut s, "max_records").unwrap_or(20_000),
        max_bytes: size(&mut s, "max_bytes").unwrap_or(16 << 20),
        split_records: count(&mut s, "split_records").unwrap_or(1_000_000),
        split_bytes: size(&mut s, "split_bytes").unwrap_or(512 << 20),
    };
    s.finish();
    commit
}

fn reconcile(mut s: Section<'_>) -> Reconcile {
    let reconcile = Reconcile {
        max_tombstones: s.parsed("max_tombstones", Percent::parse).unwrap_or(Percent::whole(5)),
        approve: s.list("approve", |t| t.parse().map_err(|e: ParseApprovalError| e.to_string())),
        gap: s.choice("gap", &[("stop", Gap::Stop), ("heal", Gap::Heal)], Gap::Stop),
    };
    s.finish();
    reconcile
}

fn limits(mut s: Section<'_>) -> Limits {
    let memory = |text: &str| match value::size(text)? {
        n if n < 16 << 20 => Err(format!("{text:?} is less than 16MiB, which is the least that works")),
        n => Ok(n),
    };
    let limits = Limits { memory: s.parsed("memory", memory).unwrap_or(256 << 20) };
    s.finish();
    limits
}

fn http(mut s: Section<'_>) -> Http {
    let listen = s.parsed("listen", value::listen).unwrap_or_else(|| Some("127.0.0.1:8080".to_owned()));
    s.finish();
    Http { listen }
}
