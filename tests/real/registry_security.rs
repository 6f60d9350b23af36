//! A registry behind haproxy that wants TLS and a password, a token or a client certificate.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgspine::credential::{Credential, Unreadable};
use pgspine::registry::{Client, ClientOptions, RegistryError};

use crate::crash::Shop;
use crate::kafka_security::{check_refused, tls};
use crate::support::*;

/// haproxy before the registry of these tests, on three ports that stay the same.
pub struct Door {
    dir: tempfile::TempDir,
    ports: [u16; 3],
    child: Child,
}

pub const BASIC: usize = 0;
const BEARER: usize = 1;
const CERTIFICATE: usize = 2;

impl Door {
    pub fn open(password: &str) -> Door {
        let dir = tempfile::tempdir().expect("a folder");
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let ports = [free(), free(), free()];
        let child = start(dir.path().join("haproxy.cfg"), ports, password);
        Door { dir, ports, child }
    }

    /// From now on with another password and token.
    fn change(&mut self, password: &str) {
        self.end();
        self.child = start(self.dir.path().join("haproxy.cfg"), self.ports, password);
    }

    pub fn url(&self, door: usize) -> String {
        let real = registry();
        let path = real.trim_start_matches("http://").split_once('/').expect("a path").1.to_owned();
        format!("https://localhost:{}/{path}", self.ports[door])
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(file: PathBuf, ports: [u16; 3], password: &str) -> Child {
    let real = registry();
    let address = real.trim_start_matches("http://").split_once('/').expect("a path").0;
    let (server, ca) = (tls("server.both"), tls("ca.pem"));
    let [basic, bearer, certificate] = ports;
    let text = format!(
        "defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
userlist people
  user schemas insecure-password {password}
frontend basic
  bind 127.0.0.1:{basic} ssl crt {server}
  http-request auth unless {{ http_auth(people) }}
  default_backend registry
frontend bearer
  bind 127.0.0.1:{bearer} ssl crt {server}
  http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str \"Bearer {password}\" }}
  default_backend registry
frontend certificate
  bind 127.0.0.1:{certificate} ssl crt {server} ca-file {ca} verify required
  default_backend registry
backend registry
  server one {address}
"
    );
    std::fs::File::create(&file).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file");
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("haproxy is installed: dev/install");
    for port in ports {
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(());
        wait_for("haproxy", Duration::from_secs(20), listens);
    }
    child
}

/// Puts the project's bridge before this door.
fn through(project: &Project, url: &str, keys: &[(&str, &str)]) {
    let file = project.dir().join("pgspine.toml");
    let toml = std::fs::read_to_string(&file).expect("a file");
    let (before, rest) = toml.split_once("[registry]\n").expect("the section");
    let after = rest.split_once("[topics]").expect("the next section").1;
    let keys: String = keys.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    std::fs::write(file, format!("{before}[registry]\nurl = {url:?}\n{keys}[topics]{after}")).expect("a file");
}

#[test]
fn registry_security_each_way_in_carries_the_whole_bridge() {
    let door = Door::open("sesame");
    let mut shop = Shop::new("doors", 10, "");
    let (ca, cert, key) = (tls("ca.pem"), tls("client.pem"), tls("client.key"));
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let ways: [(String, &[(&str, &str)]); 3] = [
        // The first address does not answer: the second one does.
        (
            format!("https://localhost:{nobody}/gone, {}", door.url(BASIC)),
            &[("username", "schemas"), ("password", "sesame")],
        ),
        (door.url(BEARER), &[("bearer_token", "sesame")]),
        (door.url(CERTIFICATE), &[("cert", &cert), ("key", &key)]),
    ];
    for (url, keys) in ways {
        through(&shop.project, &url, &[keys, &[("ca", ca.as_str())]].concat());
        shop.work(3);
        shop.catch_up();
        let checked = shop.project.output(&["check", "--live"]);
        assert_eq!(checked.status.code(), Some(0), "{url}: {}", String::from_utf8_lossy(&checked.stdout));
    }
    eprintln!("{:?}", shop.oracle.verify());
}

#[test]
fn registry_security_refusals_are_told() {
    let door = Door::open("sesame");
    let shop = Shop::new("shut", 3, "");
    let project = &shop.project;
    let (ca, other_ca) = (tls("ca.pem"), tls("other-ca.pem"));
    let file = project.dir().join("password");
    std::fs::write(&file, "hunter2\n").expect("a file");
    let from_file = format!("${{file:{}}}", file.display());

    let name = ("username", "schemas");
    through(project, &door.url(BASIC), &[name, ("password", "hunter2"), ("ca", &ca)]);
    check_refused(project, "PGS6002", "401", true);
    through(project, &door.url(BASIC), &[name, ("password", &from_file), ("ca", &ca)]);
    check_refused(project, "PGS6002", "401", false);
    through(project, &door.url(BEARER), &[("bearer_token", "hunter2"), ("ca", &ca)]);
    check_refused(project, "PGS6002", "401", true);
    through(project, &door.url(BASIC), &[name, ("password", "sesame"), ("ca", &other_ca)]);
    check_refused(project, "PGS6009", "UnknownIssuer", false);
    let other_name = door.url(BASIC).replace("localhost", "127.0.0.1");
    through(project, &other_name, &[name, ("password", "sesame"), ("ca", &ca)]);
    check_refused(project, "PGS6009", "not valid for", false);
    through(project, &door.url(CERTIFICATE), &[("ca", &ca)]);
    check_refused(project, "PGS6009", "cert and key", false);
    let (cert, key) = (tls("other-client.pem"), tls("other-client.key"));
    through(project, &door.url(CERTIFICATE), &[("ca", &ca), ("cert", &cert), ("key", &key)]);
    check_refused(project, "PGS6009", "cert and key", false);
    std::fs::remove_file(&file).expect("the file");
    through(project, &door.url(BASIC), &[name, ("password", &from_file), ("ca", &ca)]);
    check_refused(project, "PGS6010", &file.display().to_string(), false);
    through(project, &door.url(BASIC), &[("ca", "no-ca.pem")]);
    check_refused(project, "PGS6010", "no-ca.pem", false);
}

#[test]
fn registry_security_the_next_call_carries_what_the_files_hold_then() {
    let mut door = Door::open("first");
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let set = |name: &str, from: &str| assert!(std::fs::copy(tls(from), path(name)).expect("a copy") > 0);
    std::fs::write(path("password"), "first").expect("a file");
    let file = path("password");
    let password = Credential::asked(move || std::fs::read_to_string(&file).map_err(|e| Unreadable(e.to_string())));
    let options = |url: String| ClientOptions { url, ca: Some(path("ca.pem")), ..ClientOptions::default() };
    set("ca.pem", "ca.pem");
    let basic = ClientOptions {
        username: Some("schemas".into()),
        password: Some(password.clone()),
        ..options(door.url(BASIC))
    };
    let basic = Client::new(&basic).expect("a client");
    let bearer = ClientOptions { bearer_token: Some(password), ..options(door.url(BEARER)) };
    let bearer = Client::new(&bearer).expect("a client");
    for client in [&basic, &bearer] {
        client.ping().expect("let in");
    }
    door.change("second");
    for client in [&basic, &bearer] {
        let refused = client.ping().expect_err("the old password");
        assert!(matches!(refused, RegistryError::Unauthorized { status: 401, rotates: true, .. }), "{refused}");
    }
    std::fs::write(path("password"), "second").expect("a file");
    for client in [&basic, &bearer] {
        client.ping().expect("let in again");
    }

    set("cert.pem", "other-client.pem");
    set("key.pem", "other-client.key");
    let certificate =
        ClientOptions { cert: Some(path("cert.pem")), key: Some(path("key.pem")), ..options(door.url(CERTIFICATE)) };
    let client = Client::new(&certificate).expect("a client");
    let refused = client.ping().expect_err("another authority's certificate");
    assert!(matches!(refused, RegistryError::Tls { theirs: false, .. }), "{refused}");
    set("cert.pem", "client.pem");
    set("key.pem", "client.key");
    client.ping().expect("let in");
    set("ca.pem", "other-ca.pem");
    assert!(matches!(client.ping(), Err(RegistryError::Tls { theirs: true, .. })));
    set("ca.pem", "ca.pem");
    client.ping().expect("let in again");
    std::fs::remove_file(path("key.pem")).expect("the key");
    assert!(matches!(client.ping(), Err(RegistryError::Secret { key: "key", .. })));
}
