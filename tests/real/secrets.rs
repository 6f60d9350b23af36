//! Nothing planted as a secret is ever seen: not in what the bridge writes and serves when all goes well, and not in
//! what it says about everything that can be wrong with a secret. [`SEED`] is part of every planted text.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cli::Bench;
use crate::kafka_security::{Mechanism, scram, tls};
use crate::registry_security::{BASIC, Door};
use crate::status::Running;
use crate::support::*;

const SEED: &str = "zq7plantedqz";
const LIMIT: Duration = Duration::from_secs(60);

fn planted(place: &str) -> String {
    format!("{SEED}.{place}")
}

fn unseen(place: &str, text: &str) {
    if let Some(shown) = seen(place, text) {
        panic!("{shown}");
    }
}

fn seen(place: &str, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let line = lower.lines().find(|line| line.contains(SEED))?;
    Some(format!("{place} shows a secret: {line}"))
}

fn unseen_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unseen_below(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            unseen(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

/// The configuration with secrets wherever one can stand, all of them good.
fn secured(project: &Project, database: &Database, door: &Door) -> String {
    let user = unique("planted");
    scram(&user, &planted("sasl"), Mechanism::Sha256);
    let encrypted = project.dir().join("client.key");
    let key_password = planted("key");
    let made = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-in", &tls("client.key"), "-out"])
        .arg(&encrypted)
        .args(["-passout", &format!("pass:{key_password}")])
        .output();
    assert!(made.expect("openssl").status.success());
    std::fs::write(project.dir().join("registry.password"), format!("{}\n", planted("registry"))).expect("a file");
    format!(
        "[bridge]\nname = \"{}\"\n\
         [postgres]\nurl = \"{} password={} sslmode=disable\"\n\
         [kafka]\nbootstrap_servers = \"{}\"\n\
         [kafka.properties]\n\"debug\" = \"all\"\n\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = \"{}\"\n\
         \"ssl.certificate.location\" = \"{}\"\n\"ssl.key.location\" = \"{}\"\n\"ssl.key.password\" = \"{key_password}\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"${{PLANTED_SASL}}\"\n\
         [registry]\nurl = \"{}\"\nusername = \"schemas\"\npassword = \"${{file:registry.password}}\"\nca = \"{}\"\n\
         [topics]\npartitions = 2\nreplication_factor = 1\n[http]\nlisten = \"\"\n",
        project.name,
        database.conninfo(),
        planted("url"),
        service("PGSPINE_TEST_KAFKA_SASL"),
        tls("ca.pem"),
        tls("client.pem"),
        encrypted.display(),
        door.url(BASIC),
        tls("ca.pem"),
    )
}

fn write(project: &Project, toml: &str) {
    std::fs::write(project.dir().join("pgspine.toml"), toml).expect("a file");
}

#[test]
fn secrets_are_not_seen_while_all_goes_well() {
    let door = Door::open(&planted("registry"));
    let bench = Bench::new("unseen", "");
    let toml = secured(&bench.project, &bench.database, &door);
    write(&bench.project, &toml);
    let header =
        bench.header("[\"id\"]", crate::cli::ITEM_SQL).replacen("key =", "on_error = \"dead_letter\"\nkey =", 1);
    bench.project.transform("shop/item", &header, crate::cli::ITEM_AVSC);
    bench.sql("INSERT INTO shop.item (id, name, price) SELECT i, 'a', i FROM generate_series(1, 20) i");
    let (sasl, pgpassword) = (planted("sasl"), planted("pgpassword"));
    // Everything that this program and the libraries under it can log.
    let environment = [
        ("PLANTED_SASL", sasl.as_str()),
        ("PGPASSWORD", &pgpassword),
        ("PGSPINE_LOG", "trace,pgspine=trace"),
        ("RUST_LOG", "trace"),
    ];
    let mut bridge = Running::start(&bench, &environment);
    wait_for("the stream", LIMIT, || Some(bridge.status()).filter(|s| s["state"] == "streaming"));
    bench.sql("UPDATE shop.item SET price = 'NaN' WHERE id = 3");
    bench.sql("DELETE FROM shop.item WHERE id = 4");
    let letters = format!("{}.dead-letter", bench.topic);
    wait_for("the dead letter", LIMIT, || (!read_topic(&letters).is_empty()).then_some(()));
    for path in ["/metrics", "/status", "/", "/readyz", "/livez"] {
        unseen(path, &bridge.get(path).1);
    }
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["check", "--live", "--json"],
        &["check", "--live"],
        &["explain", "shop/item"],
        &["preview", "shop/item"],
        &["setup", "--sql"],
    ] {
        let mut process = bench.project.spawn(arguments, &environment);
        let code = process.code(LIMIT);
        assert!(code == 0 || arguments[0] == "check" && code == 1, "{arguments:?}: {code}: {}", process.log());
        unseen(&format!("{arguments:?}"), &process.log());
    }
    for topic in [&bench.topic, &letters, &format!("pgspine.{}.progress", bench.project.name)] {
        let records = read_topic(topic);
        assert!(!records.is_empty(), "{topic}");
        for r in records {
            let bytes = [r.key.unwrap_or_default(), r.value.unwrap_or_default()].concat();
            unseen(topic, &format!("{}{:?}", String::from_utf8_lossy(&bytes), r.headers));
        }
    }
    unseen_below(&bench.project.dir().join("state"));
    assert_eq!(bridge.process.stop(), 0);
    let log = bridge.process.log();
    assert!(
        log.contains("\"level\":\"TRACE\"") || log.contains("\"level\":\"DEBUG\""),
        "{}",
        &log[..log.len().min(2000)]
    );
    assert!(log.contains("SASL"), "librdkafka's own log is in it");
    unseen("the log", &log);
}

/// Each replaces one line of a good configuration.
fn wrong(good: &str) -> Vec<(&'static str, String)> {
    let s = SEED;
    let line = |key: &str, with: String| -> String {
        let line = good.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("{key} is in it"));
        good.replacen(line, &with, 1)
    };
    let url = "url = \"host=";
    let sasl = "\"sasl.password\"";
    let registry_password = "password = \"${file";
    let registry_url = "url = \"https";
    vec![
        ("host", line(url, format!("url = \"postgres://u:{s}@127.0.0.1:1/x?sslmode=disable\""))),
        ("slash", line(url, format!("url = \"postgres://u:{s}/{s}@127.0.0.1:1/x?sslmode=disable\""))),
        ("at", line(url, format!("url = \"postgres://u:a@{s}@127.0.0.1:1/x?sslmode=disable\""))),
        ("port", line(url, format!("url = \"postgres://u:{s}@127.0.0.1:no/x?sslmode=disable\""))),
        ("percent", line(url, format!("url = \"postgres://u:{s}%zz@127.0.0.1:1/x?sslmode=disable\""))),
        ("key", line(url, format!("url = \"host=127.0.0.1 passwort={s} user=u\""))),
        ("quote", line(url, format!("url = \"host=127.0.0.1 user=u password='{s}\""))),
        ("space", line(url, format!("url = \"host=127.0.0.1 user=u password=a {s}\""))),
        ("postgres list", line(url, format!("url = [\"{s}\"]"))),
        ("postgres unquoted", line(url, format!("url = {s}"))),
        ("postgres unclosed", line(url, format!("url = \"{s}"))),
        ("postgres template", line(url, format!("url = \"{s}${{\""))),
        ("postgres two", line(url, format!("{}\npassword = \"{s}\"\npassword_file = \"x\"", "url = \"host=h\""))),
        ("postgres mistyped", line(url, format!("url = \"host=h\"\npasswort = \"{s}\""))),
        ("sasl", line(sasl, format!("\"sasl.password\" = \"wrong {s}\""))),
        ("sasl list", line(sasl, format!("\"sasl.password\" = [\"{s}\"]"))),
        ("sasl mistyped", line(sasl, format!("\"sasl.pasword\" = \"{s}\""))),
        (
            "sasl elsewhere",
            line(sasl, format!("\"security.protocol\" = \"{s}\"")).replacen(
                "\"security.protocol\" = \"SASL_SSL\"\n",
                "",
                1,
            ),
        ),
        ("number", line(sasl, format!("\"linger.ms\" = \"{s}\""))),
        ("pinned", line(sasl, format!("\"acks\" = \"{s}\""))),
        ("table", line(sasl, format!("\"sasl\" = {{ password = \"{s}\" }}"))),
        ("key password", line("\"ssl.key.password\"", format!("\"ssl.key.password\" = \"wrong {s}\""))),
        ("key text", line("\"ssl.key.location\"", format!("\"ssl.key.pem\" = \"{s}\""))),
        ("variable unset", line(sasl, "\"sasl.password\" = \"${PLANTED_NOWHERE}\"".to_owned())),
        ("registry password", line(registry_password, format!("password = \"wrong {s}\""))),
        ("registry zero", line(registry_password, format!("password = \"{s}\\u0000\\n\""))),
        ("registry user", line("username", format!("username = {{ a = \"{s}\" }}"))),
        ("registry both", line("username", format!("username = \"u\"\nbearer_token = \"{s}\""))),
        ("registry url", line(registry_url, format!("url = \"https://user:{s}@localhost:1\""))),
        ("registry url form", line(registry_url, format!("url = \"user:{s}@localhost:1\""))),
        ("registry url list", line(registry_url, format!("url = [\"https://user:{s}@localhost:1\"]"))),
        ("other key", line("partitions", format!("partitions = \"{s}\""))),
        ("other value", line("partitions", "partitions = 2\nmode = \"${PLANTED_OTHER}\"".to_owned())),
    ]
}

/// What the program says about one configuration, where something planted stands in it.
fn said_of(project: &Project, name: &str, toml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    write(project, toml);
    let path = project.dir().join("pgspine.toml");
    let all = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let read = pgspine::config::Config::from_text(&path, toml.to_owned(), all);
    let mut process = project.spawn(&["check", "--live"], variables);
    assert_ne!(process.code(LIMIT), 0, "{name}: {}", process.log());
    let mut shown = vec![seen(name, &format!("{read:?}")), seen(&format!("{name}: check"), &process.log())];
    if read.is_ok() {
        let mut process = project.spawn(&["run"], variables);
        // It ends, or says what it waits for.
        wait_for(name, LIMIT, || (process.log().contains("wait_ms") || process.ended().is_some()).then_some(()));
        process.kill9();
        shown.push(seen(&format!("{name}: run"), &process.log()));
    }
    shown.into_iter().flatten().collect()
}

#[test]
fn secrets_are_not_seen_when_they_are_wrong() {
    let door = Door::open(&planted("registry"));
    let bench = Bench::new("wrong", "");
    let (sasl, other) = (planted("sasl"), planted("environment"));
    let usual =
        [("PLANTED_SASL", sasl.as_str()), ("PLANTED_OTHER", &other), ("PGPASSWORD", &other), ("PGSPINE_LOG", "trace")];
    let odd = [("PGSPINE_POSTGRES__PASSWORT", other.as_str()), ("PGSPINE_KAFKA__PROPERTIES__SASL_PASWORD", &other)];
    let header = bench.header("[\"id\"]", crate::cli::ITEM_SQL);
    // Most of it is waiting: several of them side by side, each with a project of its own.
    const WORKERS: usize = 4;
    let worker = |number: usize| {
        let project = Project::new("wrong", &bench.database, "");
        project.transform("shop/item", &header, crate::cli::ITEM_AVSC);
        // librdkafka's whole log is looked at where all goes well.
        let good = secured(&project, &bench.database, &door).replacen("\"debug\" = \"all\"\n", "", 1);
        let mut shown = Vec::new();
        for (name, toml) in wrong(&good).iter().skip(number).step_by(WORKERS) {
            shown.extend(said_of(&project, name, toml, &usual));
        }
        if number == 0 {
            shown.extend(said_of(&project, "overrides", &good, &[&usual[..], &odd].concat()));
            // The control: it is seen where it stands.
            assert!(seen("the file", &good).is_some());
        }
        shown
    };
    let shown: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..WORKERS)
            .map(|number| {
                scope.spawn({
                    let worker = &worker;
                    move || worker(number)
                })
            })
            .collect();
        all.into_iter().flat_map(|one| one.join().expect("a worker")).collect()
    });
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}
