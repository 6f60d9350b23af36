//! A Kafka that lets nobody in without TLS and a name: each way in works for every client that the program makes, each
//! refusal is told and not waited for, and what stands in files may be exchanged while the bridge runs.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::crash::Shop;
use crate::support::*;

const LONG: Duration = Duration::from_secs(90);
/// The broker lets no client in within this time, and says so at once.
const SOON: Duration = Duration::from_secs(20);

pub fn tls(file: &str) -> String {
    Path::new(&service("PGSPINE_TEST_TLS_DIR")).join(file).display().to_string()
}

fn plain_password() -> String {
    std::fs::read_to_string(tls("plain")).expect("PLAIN's password")
}

#[derive(Clone, Copy)]
pub enum Mechanism {
    Sha256,
    Sha512,
}

/// Gives the user this password, over the listener that asks nobody.
pub fn scram(user: &str, password: &str, mechanism: Mechanism) {
    use native::rd_kafka_ScramMechanism_t as M;
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", kafka()).create().expect("a client");
    let (user, bytes) = (CString::new(user).expect("a name"), password.as_bytes());
    let mechanism = match mechanism {
        Mechanism::Sha256 => M::RD_KAFKA_SCRAM_MECHANISM_SHA_256,
        Mechanism::Sha512 => M::RD_KAFKA_SCRAM_MECHANISM_SHA_512,
    };
    // SAFETY: the client outlives the request; the upsertion copies name and password, and the request the upsertion;
    // the event is destroyed before its queue.
    unsafe {
        let rk = client.client().native_ptr();
        let queue = native::rd_kafka_queue_new(rk);
        let mut alteration = native::rd_kafka_UserScramCredentialUpsertion_new(
            user.as_ptr(),
            mechanism,
            4096,
            bytes.as_ptr(),
            bytes.len(),
            std::ptr::null(),
            0,
        );
        native::rd_kafka_AlterUserScramCredentials(rk, &mut alteration, 1, std::ptr::null(), queue);
        native::rd_kafka_UserScramCredentialAlteration_destroy(alteration);
        let event = native::rd_kafka_queue_poll(queue, 30_000);
        assert!(!event.is_null(), "no answer");
        let code = rdkafka::error::RDKafkaErrorCode::from(native::rd_kafka_event_error(event));
        assert_eq!(code, rdkafka::error::RDKafkaErrorCode::NoError);
        native::rd_kafka_event_destroy(event);
        native::rd_kafka_queue_destroy(queue);
    }
}

/// Puts the project's bridge before this listener.
fn through(project: &Project, servers: &str, properties: &[(&str, &str)]) {
    let file = project.dir().join("pgspine.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    let mut toml: String = text
        .split_once("[kafka.properties]")
        .map_or(text.as_str(), |(before, _)| before)
        .lines()
        .map(|line| match line.starts_with("bootstrap_servers") {
            true => format!("bootstrap_servers = {servers:?}\n"),
            false => format!("{line}\n"),
        })
        .collect();
    toml.push_str("[kafka.properties]\n");
    toml.extend(properties.iter().map(|(name, value)| format!("{name:?} = {value:?}\n")));
    std::fs::write(file, toml).expect("a file");
}

fn sasl<'a>(mechanism: &'a str, user: &'a str, password: &'a str, ca: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", ca),
        ("sasl.mechanism", mechanism),
        ("sasl.username", user),
        ("sasl.password", password),
    ]
}

fn secret(project: &Project, text: &str) -> (PathBuf, String) {
    let path = project.dir().join("password");
    std::fs::write(&path, format!("{text}\n")).expect("a file");
    let template = format!("${{file:{}}}", path.display());
    (path, template)
}

#[test]
fn kafka_security_each_way_in_carries_the_whole_bridge() {
    let mut shop = Shop::new("secured", 40, "");
    let (sasl_servers, ssl_servers) = (service("PGSPINE_TEST_KAFKA_SASL"), service("PGSPINE_TEST_KAFKA_SSL"));
    let (ca, user) = (tls("ca.pem"), unique("user"));
    scram(&user, "first", Mechanism::Sha256);
    scram(&user, "second", Mechanism::Sha512);
    for (mechanism, user, password) in [
        ("PLAIN", "plain", plain_password()),
        ("SCRAM-SHA-256", user.as_str(), "first".to_owned()),
        ("SCRAM-SHA-512", user.as_str(), "second".to_owned()),
    ] {
        let (_, template) = secret(&shop.project, &password);
        through(&shop.project, &sasl_servers, &sasl(mechanism, user, &template, &ca));
        shop.work(4);
        shop.catch_up();
    }
    let (certificate, key) = (tls("client.pem"), tls("client.key"));
    let mtls = [
        ("security.protocol", "SSL"),
        ("ssl.ca.location", ca.as_str()),
        ("ssl.certificate.location", &certificate),
        ("ssl.key.location", &key),
        ("ssl.endpoint.identification.algorithm", "https"),
    ];
    through(&shop.project, &ssl_servers, &mtls);
    shop.work(4);
    let checked = shop.project.output(&["check", "--live"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    shop.catch_up();
    eprintln!("{:?}", shop.oracle.verify());
}

/// What `check --live` and `run` say; `run` ends with 2 or goes on trying.
pub fn check_refused(project: &Project, code: &str, words: &str, run_ends: bool) {
    let begun = Instant::now();
    let checked = project.output(&["check", "--live", "--json"]);
    let text = String::from_utf8(checked.stdout).expect("text");
    assert!(begun.elapsed() < SOON, "{:?}: {text}", begun.elapsed());
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(text.contains(code) && text.contains(words), "{code} {words:?}: {text}");
    let mut process = project.spawn(&["run"], &[]);
    if run_ends {
        assert_eq!(process.code(SOON), 2, "{}", process.log());
        assert!(process.log().contains(code), "{}", process.log());
    } else {
        process.until_log(code, SOON, |log| log.contains(code) && log.contains(words));
        assert_eq!(process.stop(), 0, "{}", process.log());
    }
    assert!(!process.log().contains("hunter2") && !text.contains("hunter2"), "{text}{}", process.log());
}

#[test]
fn kafka_security_refusals_are_told_and_not_waited_for() {
    let shop = Shop::new("refused", 3, "");
    let project = &shop.project;
    let (sasl_servers, ssl_servers) = (service("PGSPINE_TEST_KAFKA_SASL"), service("PGSPINE_TEST_KAFKA_SSL"));
    let (ca, other_ca, password) = (tls("ca.pem"), tls("other-ca.pem"), plain_password());
    let port = sasl_servers.rsplit_once(':').expect("a port").1;

    // With a file among the properties the bridge goes on trying, since files are exchanged.
    let (path, template) = secret(project, "hunter2");
    through(project, &sasl_servers, &sasl("PLAIN", "plain", &template, &ca));
    check_refused(project, "PGS5008", "sasl.password", false);
    through(project, &sasl_servers, &sasl("SCRAM-SHA-512", "nobody", "hunter2", &ca));
    check_refused(project, "PGS5008", "uthentication failed", false);
    through(project, &sasl_servers, &sasl("PLAIN", "plain", &password, &other_ca));
    check_refused(project, "PGS5009", "ssl.ca.location", false);
    through(project, &format!("127.0.0.1:{port}"), &sasl("PLAIN", "plain", &password, &ca));
    check_refused(project, "PGS5009", "advertised.listeners", false);

    let mtls = [("security.protocol", "SSL"), ("ssl.ca.location", ca.as_str())];
    through(project, &ssl_servers, &mtls);
    check_refused(project, "PGS5009", "ssl.certificate.location", false);
    let (certificate, key) = (tls("other-client.pem"), tls("other-client.key"));
    let other = [("ssl.certificate.location", certificate.as_str()), ("ssl.key.location", &key)];
    through(project, &ssl_servers, &[&mtls[..], &other].concat());
    check_refused(project, "PGS5009", "ssl.certificate.location", false);

    std::fs::remove_file(&path).expect("the file");
    through(project, &sasl_servers, &sasl("PLAIN", "plain", &template, &ca));
    check_refused(project, "PGS5023", &path.display().to_string(), false);
    let gone = project.dir().join("no-ca.pem").display().to_string();
    through(project, &sasl_servers, &sasl("PLAIN", "plain", &password, &gone));
    check_refused(project, "PGS5023", &gone, false);

    // What stands in the configuration itself is not going to change.
    let authority = std::fs::read_to_string(&ca).expect("a file");
    let literal = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.pem", authority.as_str()),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "plain"),
        ("sasl.password", "hunter2"),
    ];
    through(project, &sasl_servers, &literal);
    check_refused(project, "PGS5008", "sasl.password", true);
    through(project, &sasl_servers, &[("sasl.pasword", "hunter2")]);
    check_refused(project, "PGS5002", "sasl.pasword", true);
    through(project, &sasl_servers, &[("security.protocol", "hunter2")]);
    check_refused(project, "PGS5002", "security.protocol", true);
}

/// Secrets as a kubelet mounts them: the file is a link into a folder that is exchanged as a whole.
struct Mounted {
    dir: PathBuf,
    version: u32,
}

impl Mounted {
    fn new(dir: PathBuf) -> Mounted {
        std::fs::create_dir_all(&dir).expect("a folder");
        std::os::unix::fs::symlink("..data/password", dir.join("password")).expect("a link");
        Mounted { dir, version: 0 }
    }

    fn set(&mut self, password: &str) {
        self.version += 1;
        let folder = format!("..v{}", self.version);
        std::fs::create_dir(self.dir.join(&folder)).expect("a folder");
        std::fs::write(self.dir.join(&folder).join("password"), format!("{password}\n")).expect("a file");
        std::os::unix::fs::symlink(&folder, self.dir.join("..new")).expect("a link");
        std::fs::rename(self.dir.join("..new"), self.dir.join("..data")).expect("a link");
    }

    fn vanish(&self) {
        std::fs::remove_file(self.dir.join("..data")).expect("a link");
    }
}

#[test]
fn kafka_security_a_password_is_exchanged_while_the_bridge_runs() {
    let mut shop = Shop::new("rotated", 40, "");
    let servers = service("PGSPINE_TEST_KAFKA_SASL");
    let (ca, user) = (tls("ca.pem"), unique("user"));
    let mut mounted = Mounted::new(shop.project.dir().join("secrets"));
    let path = mounted.dir.join("password");
    mounted.set("first");
    scram(&user, "first", Mechanism::Sha512);
    let template = format!("${{file:{}}}", path.display());
    through(&shop.project, &servers, &sasl("SCRAM-SHA-512", &user, &template, &ca));
    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);

    // The broker asks again every few seconds, and the old password is no good any more. It was let in before, so it waits.
    scram(&user, "second", Mechanism::Sha512);
    process.until_log("the refusal", LONG, |log| log.contains("PGS5008"));
    shop.work(3);
    mounted.set("second");
    shop.wait_confirmed(&mut process, LONG);

    mounted.vanish();
    scram(&user, "third", Mechanism::Sha512);
    let named = path.display().to_string();
    process.until_log("the missing file", LONG, |log| log.contains("PGS5023") && log.contains(&named));
    mounted.set("third");
    shop.work(3);
    shop.wait_confirmed(&mut process, LONG);
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}", shop.oracle.verify());
}
