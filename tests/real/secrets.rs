//! Nothing planted as a secret is ever seen: not in what the bridge writes and serves when all goes well, and not in
//! what it says about everything that can be wrong with a secret. [`SEED`] is part of every planted text.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cli::{Bench, said};
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
fn secured(bench: &Bench, door: &Door) -> String {
    let user = unique("planted");
    scram(&user, &planted("sasl"), Mechanism::Sha256);
    let encrypted = bench.project.dir().join("client.key");
    let key_password = planted("key");
    let made = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-in", &tls("client.key"), "-out"])
        .arg(&encrypted)
        .args(["-passout", &format!("pass:{key_password}")])
        .output();
    assert!(made.expect("openssl").status.success());
    std::fs::write(bench.project.dir().join("registry.password"), format!("{}\n", planted("registry")))
        .expect("a file");
    format!(
        "[bridge]\nname = \"{}\"\n\
         [postgres]\nurl = \"{} password={} sslmode=disable\"\n\
         [kafka]\nbootstrap_servers = \"{}\"\n\
         [kafka.properties]\n\"debug\" = \"all\"\n\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = \"{}\"\n\
         \"ssl.certificate.location\" = \"{}\"\n\"ssl.key.location\" = \"{}\"\n\"ssl.key.password\" = \"{key_password}\"\n\
         \"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"${{PLANTED_SASL}}\"\n\
         [registry]\nurl = \"{}\"\nusername = \"schemas\"\npassword = \"${{file:registry.password}}\"\nca = \"{}\"\n\
         [topics]\npartitions = 2\nreplication_factor = 1\n[http]\nlisten = \"\"\n",
        bench.project.name,
        bench.database.conninfo(),
        planted("url"),
        service("PGSPINE_TEST_KAFKA_SASL"),
        tls("ca.pem"),
        tls("client.pem"),
        encrypted.display(),
        door.url(BASIC),
        tls("ca.pem"),
    )
}

fn write(bench: &Bench, toml: &str) {
    std::fs::write(bench.project.dir().join("pgspine.toml"), toml).expect("a file");
}

#[test]
fn secrets_are_not_seen_while_all_goes_well() {
    let door = Door::open(&planted("registry"));
    let bench = Bench::new("unseen", "");
    let toml = secured(&bench, &door);
    write(&bench, &toml);
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
#[test]
fn secrets_are_not_seen_when_they_are_wrong() {
    let door = Door::open(&planted("registry"));
    let bench = Bench::new("wrong", "");
    // Its log is looked at where all goes well.
    let good = secured(&bench, &door).replacen("\"debug\" = \"all\"\n", "", 1);
    let environment = |name: &str| match name {
        "PLANTED_SASL" => planted("sasl"),
        _ => planted("environment"),
    };
    let s = SEED;
    let line = |key: &str, with: String| -> String {
        let line = good.lines().find(|l| l.starts_with(key)).unwrap_or_else(|| panic!("{key} is in it"));
        good.replacen(line, &with, 1)
    };
    let url = "url = \"host=";
    let sasl = "\"sasl.password\"";
    let registry_password = "password = \"${file";
    let registry_url = "url = \"https";
    let cases: Vec<(&str, String)> = vec![
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
    ];
    let variables: Vec<(String, String)> = [
        "PLANTED_SASL",
        "PLANTED_OTHER",
        "PGPASSWORD",
        "PGSPINE_POSTGRES__PASSWORT",
        "PGSPINE_KAFKA__PROPERTIES__SASL_PASWORD",
    ]
    .iter()
    .map(|n| ((*n).to_owned(), environment(n)))
    .collect();
    let (usual, odd) = variables.split_at(3);
    let borrowed = |some: &[(String, String)]| -> Vec<(String, String)> {
        some.iter().cloned().chain([("PGSPINE_LOG".to_owned(), "trace".to_owned())]).collect()
    };
    let mut shown = Vec::new();
    let mut look = |name: &str, some: &[(String, String)]| {
        let some = borrowed(some);
        let some: Vec<(&str, &str)> = some.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let path = bench.project.dir().join("pgspine.toml");
        let text = std::fs::read_to_string(&path).expect("a file");
        let variables = some.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let read = pgspine::config::Config::from_text(&path, text, variables);
        shown.extend(seen(name, &format!("{read:?}")));
        let mut process = bench.project.spawn(&["check", "--live"], &some);
        let code = process.code(LIMIT);
        assert_ne!(code, 0, "{name}: {}", process.log());
        shown.extend(seen(&format!("{name}: check"), &process.log()));
        if read.is_err() {
            // All that there is to say was said.
            return;
        }
        let mut process = bench.project.spawn(&["run"], &some);
        // It ends, or says what it waits for.
        wait_for(name, LIMIT, || (process.log().contains("wait_ms") || process.ended().is_some()).then_some(()));
        process.kill9();
        shown.extend(seen(&format!("{name}: run"), &process.log()));
    };
    for (name, toml) in &cases {
        write(&bench, toml);
        look(name, usual);
    }
    write(&bench, &good);
    look("overrides", &[usual, odd].concat());
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    // The control: it is seen where it stands.
    let (_, shown) = said(&Command::new("grep").args(["-r", SEED]).arg(bench.project.dir()).output().expect("grep"));
    assert!(shown.contains(SEED));
}
