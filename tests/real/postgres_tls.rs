//! TLS and authentication against a PostgreSQL of this theme's own, which takes each role in one way only; and against
//! the common one, which has no TLS.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use pgspine::capture::{Connection, Error, Mode, Options, TlsError, connect};
use postgres::{Client, NoTls};

use crate::capture_server::Server;
use crate::crash::Shop;
use crate::support::*;

const LONG: Duration = Duration::from_secs(60);
const PASSWORD: &str = "pä:ss\\word";

const HBA: &str = "\
local     all all                    trust
host      all postgres 127.0.0.1/32  trust
hostssl   all tls      127.0.0.1/32  scram-sha-256
hostnossl all plain    127.0.0.1/32  scram-sha-256
hostssl   all old      127.0.0.1/32  md5
hostssl   all clear    127.0.0.1/32  password
hostssl   all cert     127.0.0.1/32  cert
hostssl   all trusted  127.0.0.1/32  trust
hostssl   all bridge   127.0.0.1/32  scram-sha-256 clientcert=verify-full
";

/// What `openssl` makes: two authorities, servers' certificates and clients'.
struct Certificates(PathBuf);

impl Certificates {
    fn new(folder: &Path) -> Certificates {
        let all = Certificates(folder.join("tls"));
        std::fs::create_dir(&all.0).unwrap();
        for name in ["ca", "other-ca"] {
            let subject = format!("/CN={name}");
            all.openssl(
                &format!("req -x509 -newkey rsa:2048 -nodes -days 30 -keyout {name}.key -out {name}.crt"),
                &subject,
            );
        }
        let names = "subjectAltName=DNS:localhost,DNS:db.test,IP:127.0.0.1";
        all.issue("server", "ca", "db.test", names, "rsa:2048", "sha384", &["-days", "30"]);
        all.issue("expired", "ca", "db.test", names, "rsa:2048", "sha256", &["-days", "-1"]);
        all.issue("cert", "ca", "cert", "subjectAltName=DNS:cert", "rsa:2048", "sha256", &["-days", "30"]);
        all.issue("bridge", "ca", "bridge", "subjectAltName=DNS:bridge", "rsa:2048", "sha256", &["-days", "30"]);
        all.issue("stranger", "other-ca", "cert", "subjectAltName=DNS:cert", "rsa:2048", "sha256", &["-days", "30"]);
        // The server's own signature, an elliptic curve, and marked as an authority's, as `req -x509` does.
        let own =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout self.key -out self.crt";
        all.openssl(&format!("{own} -addext {names}"), "/CN=db.test");
        for server in ["server", "expired", "self"] {
            all.give_to_server(&format!("{server}.key"));
        }
        all
    }

    #[allow(clippy::too_many_arguments)]
    fn issue(&self, name: &str, ca: &str, cn: &str, names: &str, key: &str, hash: &str, days: &[&str]) {
        self.openssl(&format!("req -newkey {key} -nodes -keyout {name}.key -out {name}.csr"), &format!("/CN={cn}"));
        std::fs::write(self.0.join(format!("{name}.ext")), names).unwrap();
        let sign = format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -{hash} -extfile {name}.ext -out {name}.crt {}",
            days.join(" ")
        );
        self.openssl(&sign, "");
        self.mode(&format!("{name}.key"), 0o600);
    }

    fn openssl(&self, arguments: &str, subject: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&self.0).stdin(Stdio::null());
        if !subject.is_empty() {
            command.args(["-subj", subject]);
        }
        let done = command.output().expect("openssl");
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn mode(&self, file: &str, mode: u32) {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(self.0.join(file), permissions).unwrap();
    }

    fn give_to_server(&self, file: &str) {
        self.mode(file, 0o600);
        // Where tests run as root, the server runs as `postgres`.
        let _ = Command::new("chown").arg("postgres").arg(self.0.join(file)).stderr(Stdio::null()).status();
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }
}

struct Theme {
    // In the order in which they end.
    server: Server,
    certificates: Certificates,
    _folder: tempfile::TempDir,
}

impl Theme {
    /// One server for the tests that run at a time.
    fn get() -> Arc<Theme> {
        static THEME: Mutex<Weak<Theme>> = Mutex::new(Weak::new());
        let mut theme = THEME.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(running) = theme.upgrade() {
            return running;
        }
        let started = Arc::new(Theme::start());
        *theme = Arc::downgrade(&started);
        started
    }

    fn start() -> Theme {
        let folder = tempfile::Builder::new().prefix("pgspine-tls").tempdir_in("/tmp").unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let certificates = Certificates::new(folder.path());
        let settings = format!(
            "ssl=on\nssl_cert_file='{}'\nssl_key_file='{}'\nssl_ca_file='{}'\nlog_connections=on\nmax_wal_senders=20\nmax_replication_slots=20\n",
            certificates.path("server.crt"),
            certificates.path("server.key"),
            certificates.path("ca.crt")
        );
        let server = Server::new(&settings, HBA);
        let theme = Theme { server, certificates, _folder: folder };
        let mut admin = theme.admin();
        for role in ["tls", "plain", "clear", "cert", "trusted", "bridge"] {
            admin.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        }
        let md5 = format!("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD '{PASSWORD}'");
        admin.batch_execute(&md5).unwrap();
        theme
    }

    fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres", self.server.port)
    }

    fn admin(&self) -> Client {
        Client::connect(&format!("{} dbname=postgres", self.conninfo()), NoTls).unwrap()
    }

    /// `more` in libpq's keywords; `ROOT` is the authority's file. Without a password of its own, the role's.
    fn text(&self, user: &str, more: &str) -> String {
        let more = more.replace("ROOT", &self.certificates.path("ca.crt"));
        let host = if more.contains("host=") { "" } else { "host=localhost hostaddr=127.0.0.1" };
        format!("{host} port={} user={user} dbname=postgres {more}", self.server.port)
    }

    fn try_as(&self, user: &str, more: &str) -> Result<Connection, Error> {
        let mut options = Options::parse(&self.text(user, more)).unwrap();
        if matches!(options.password, pgspine::capture::options::Password::Environment) && options.passfile.is_none() {
            options.password = pgspine::capture::options::Password::Value(PASSWORD.into());
        }
        connect(&options, Mode::Sql)
    }

    /// Whether the connection has TLS, as the server sees it.
    fn encrypted(&self, user: &str, more: &str) -> bool {
        let mut connection = self.try_as(user, more).unwrap_or_else(|e| panic!("{user} {more}: {}", e.diagnostic()));
        let rows = connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").unwrap();
        rows.single().unwrap().text("ssl").unwrap() == "t"
    }

    /// The code of the finding.
    fn refused(&self, user: &str, more: &str) -> (String, Error) {
        match self.try_as(user, more) {
            Ok(_) => panic!("{user} {more}: connected"),
            Err(e) => {
                assert!(!e.is_transient(), "{e}");
                (e.diagnostic().code.to_string(), e)
            }
        }
    }
}

#[test]
fn every_sslmode_with_and_without_tls() {
    let t = Theme::get();
    for (mode, tls, plain) in [
        ("sslmode=disable", None, Some(false)),
        ("sslmode=allow", Some(true), Some(false)),
        ("sslmode=prefer", Some(true), Some(false)),
        ("", Some(true), Some(false)),
        ("sslmode=require", Some(true), None),
        ("sslmode=require sslrootcert=ROOT", Some(true), None),
        ("sslmode=verify-ca sslrootcert=ROOT", Some(true), None),
        ("sslmode=verify-full sslrootcert=ROOT", Some(true), None),
        ("sslmode=verify-full sslrootcert=ROOT ssl_min_protocol_version=TLSv1.3 sslsni=0", Some(true), None),
    ] {
        match tls {
            Some(expected) => assert_eq!(t.encrypted("tls", mode), expected, "{mode}"),
            None => assert_eq!(t.refused("tls", mode).0, "PGS4021", "{mode}"),
        }
        match plain {
            Some(expected) => assert_eq!(t.encrypted("plain", mode), expected, "{mode}"),
            None => assert_eq!(t.refused("plain", mode).0, "PGS4004", "{mode}"),
        }
    }
    // Both are free to have either: `allow` takes none, `prefer` takes TLS.
    assert!(!t.encrypted("postgres", "sslmode=allow"));
    assert!(t.encrypted("postgres", "sslmode=prefer"));
    // No TLS on a unix socket, whatever is said.
    let by_socket = format!("host={} sslmode=verify-full", t.server.folder.path().display());
    assert!(!t.encrypted("postgres", &by_socket));
}

#[test]
fn a_server_without_tls() {
    let server = postgres_conninfo();
    let try_with = |more: &str| connect(&Options::parse(&format!("{server} {more}")).unwrap(), Mode::Sql);
    for mode in ["", "sslmode=prefer", "sslmode=allow", "sslmode=disable"] {
        assert!(try_with(mode).is_ok(), "{mode}");
    }
    let t = Theme::get();
    for mode in ["require", "verify-ca", "verify-full"] {
        let root = t.certificates.path("ca.crt");
        let e = try_with(&format!("sslmode={mode} sslrootcert={root}")).unwrap_err();
        assert!(matches!(&e, Error::Tls(TlsError::NotOffered { .. })) && !e.is_transient(), "{e:?}");
        assert_eq!(e.diagnostic().code.to_string(), "PGS4002");
    }
    // One-shot commands say so with exit code 2.
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{server} sslmode=require");
    let toml = format!(
        "[bridge]\nname = \"x\"\n[postgres]\nurl = \"{url}\"\n[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n"
    );
    std::fs::write(folder.path().join("pgspine.toml"), toml).unwrap();
    let transforms = folder.path().join("transforms");
    std::fs::create_dir(&transforms).unwrap();
    std::fs::write(transforms.join("t.sql"), "/* pgspine\ntopic = \"t\"\nkey = [\"id\"]\n*/\nSELECT id FROM t")
        .unwrap();
    let contract = "{\"type\": \"record\", \"name\": \"T\", \"fields\": [{\"name\": \"id\", \"type\": \"int\"}]}";
    std::fs::write(transforms.join("t.avsc"), contract).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgspine"));
    let output = command.args(["setup", "--sql"]).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("PGS4002") && text.contains("ssl = on"), "{text}");
}

#[test]
fn names_and_authorities() {
    let t = Theme::get();
    let full = "sslmode=verify-full sslrootcert=ROOT";
    for host in ["host=localhost", "host=127.0.0.1", "host=db.test hostaddr=127.0.0.1"] {
        assert!(t.encrypted("tls", &format!("{host} {full}")), "{host}");
    }
    let (code, e) = t.refused("tls", &format!("host=elsewhere.test hostaddr=127.0.0.1 {full}"));
    assert_eq!(code, "PGS4024");
    assert!(e.diagnostic().to_string().contains("is not for elsewhere.test"), "{}", e.diagnostic());
    assert!(t.encrypted("tls", "host=elsewhere.test hostaddr=127.0.0.1 sslmode=verify-ca sslrootcert=ROOT"));

    let other = t.certificates.path("other-ca.crt");
    for mode in ["require", "verify-ca", "verify-full"] {
        let (code, e) = t.refused("tls", &format!("sslmode={mode} sslrootcert={other}"));
        assert!(code == "PGS4022" && matches!(e, Error::Tls(TlsError::UnknownIssuer)), "{mode}: {e}");
    }
    // `prefer` with a root file goes on without TLS if the server lets it.
    assert!(!t.encrypted("plain", &format!("sslmode=prefer sslrootcert={other}")));
    assert_eq!(t.refused("tls", &format!("sslmode=prefer sslrootcert={other}")).0, "PGS4022");
    let (code, e) = t.refused("tls", "sslmode=verify-ca sslrootcert=/nowhere/root.crt");
    assert!(code == "PGS4026" && e.diagnostic().to_string().contains("/nowhere/root.crt"), "{e:?}");
    let key = t.certificates.path("cert.key");
    assert_eq!(t.refused("tls", &format!("sslmode=require sslrootcert={key}")).0, "PGS4026");
}

/// As a certificate is renewed: new files in the server, and a reload.
#[test]
fn the_servers_certificate_changes() {
    // Of its own: the others count on theirs.
    let t = Theme::start();
    let serve = |name: &str| {
        let mut admin = t.admin();
        let (cert, key) = (t.certificates.path(&format!("{name}.crt")), t.certificates.path(&format!("{name}.key")));
        for sql in [
            format!("ALTER SYSTEM SET ssl_cert_file = '{cert}'"),
            format!("ALTER SYSTEM SET ssl_key_file = '{key}'"),
            "SELECT pg_reload_conf()".into(),
        ] {
            admin.batch_execute(&sql).unwrap();
        }
        wait_for("the reload", LONG, || {
            let row = admin.query_one("SHOW ssl_cert_file", &[]).unwrap();
            (row.get::<_, String>(0) == cert).then_some(())
        });
    };
    // The postmaster reads its configuration at its own time; each connection tells which one it got.
    let until = |more: &str, code: &str| {
        wait_for(&format!("{code} of {more}"), LONG, || {
            let found = t.try_as("tls", more).err().map_or("none".into(), |e| e.diagnostic().code.to_string());
            (found == code).then_some(())
        });
    };
    let full = "sslmode=verify-full sslrootcert=ROOT";
    until(full, "none");
    serve("expired");
    until(full, "PGS4023");
    assert!(t.encrypted("tls", "sslmode=require"), "whose certificate is not looked at");
    // A certificate of the server's own, which stands in the root file itself.
    serve("self");
    until(full, "PGS4022");
    let own = format!("sslmode=verify-full sslrootcert={}", t.certificates.path("self.crt"));
    assert!(t.encrypted("tls", &format!("{own} channel_binding=require")), "with an elliptic curve");
    assert_eq!(t.refused("tls", &format!("host=elsewhere.test hostaddr=127.0.0.1 {own}")).0, "PGS4024");
    serve("server");
    until(full, "none");
}

#[test]
fn client_certificates() {
    let t = Theme::get();
    let c = &t.certificates;
    let with = |name: &str| {
        format!(
            "sslmode=verify-full sslrootcert=ROOT sslcert={} sslkey={}",
            c.path(&format!("{name}.crt")),
            c.path(&format!("{name}.key"))
        )
    };
    assert!(t.encrypted("cert", &with("cert")));
    assert_eq!(t.refused("cert", "sslmode=verify-full sslrootcert=ROOT").0, "PGS4025");
    assert_eq!(t.refused("cert", &format!("{} sslcertmode=disable", with("cert"))).0, "PGS4025");
    // One that the server does not know, with the right name.
    let (code, e) = t.refused("cert", &with("stranger"));
    assert_eq!(code, "PGS4025", "{e:?}");
    // A known one, with another role's name.
    assert_eq!(t.refused("cert", &with("bridge")).0, "PGS4004");
    // The key: of another certificate, read by others, missing.
    let mixed = with("cert").replace("cert.key", "bridge.key");
    assert!(
        matches!(t.refused("cert", &mixed), (code, Error::Tls(TlsError::KeyDoesNotFit { .. })) if code == "PGS4026")
    );
    std::fs::copy(c.0.join("cert.key"), c.0.join("open.key")).unwrap();
    c.mode("open.key", 0o644);
    let open = with("cert").replace("cert.key", "open.key");
    let (code, e) = t.refused("cert", &open);
    assert!(code == "PGS4026" && e.diagnostic().to_string().contains("mode 0644"), "{}", e.diagnostic());
    assert_eq!(t.refused("cert", &with("cert").replace("cert.key", "none.key")).0, "PGS4026");
    assert_eq!(t.refused("cert", &with("cert").replace("cert.crt", "none.crt")).0, "PGS4026");
}

#[test]
fn scram_is_bound_to_the_certificate() {
    let t = Theme::get();
    let tls = "sslmode=verify-full sslrootcert=ROOT";
    for binding in ["disable", "prefer", "require"] {
        assert!(t.encrypted("tls", &format!("{tls} channel_binding={binding}")), "{binding}");
    }
    // Nothing else will do.
    for (user, more) in [("old", tls), ("clear", tls), ("trusted", tls), ("plain", "sslmode=disable")] {
        assert!(t.try_as(user, more).is_ok(), "{user}");
        let (code, e) = t.refused(user, &format!("{more} channel_binding=require"));
        assert!(code == "PGS4028" && matches!(e, Error::NoChannelBinding(_)), "{user}: {e:?}");
    }
    for (user, allowed, taken) in [
        ("tls", "scram-sha-256", true),
        ("tls", "!scram-sha-256", false),
        ("old", "md5", true),
        ("old", "scram-sha-256", false),
        ("clear", "scram-sha-256,md5", false),
        ("clear", "password", true),
        ("trusted", "none", true),
        ("trusted", "!none", false),
    ] {
        let more = format!("{tls} require_auth={allowed}");
        match taken {
            true => assert!(t.try_as(user, &more).is_ok(), "{user} {allowed}"),
            false => assert_eq!(t.refused(user, &more).0, "PGS4028", "{user} {allowed}"),
        }
    }
    for user in ["tls", "old", "clear"] {
        assert_eq!(t.refused(user, &format!("{tls} password=wrong")).0, "PGS4004", "{user}");
    }
    // The server tells the same.
    let log = std::fs::read_to_string(Path::new(&t.server.data()).join("log")).unwrap();
    assert!(log.contains("identity=\"tls\" method=scram-sha-256"), "{log}");
}

#[test]
fn the_password_file_of_libpq() {
    let t = Theme::get();
    let path = t.certificates.0.join(unique("pgpass"));
    let port = t.server.port;
    let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let write = |lines: &str, mode: u32| {
        std::fs::write(&path, lines).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&path, permissions).unwrap();
    };
    let more = format!("sslmode=require passfile={}", path.display());
    write(
        &format!("# all of them\nlocalhost:{port}:other:*:no\nlocalhost:{port}:*:tls:{escaped}\n*:*:*:*:no\n"),
        0o600,
    );
    if std::env::var_os("PGPASSWORD").is_some() {
        return;
    }
    assert!(t.try_as("tls", &more).is_ok());
    assert_eq!(t.refused("clear", &more).0, "PGS4004", "the last line's password");
    // Read anew, and not read when others can.
    write(&format!("*:*:*:*:{escaped}\n"), 0o600);
    assert!(t.try_as("clear", &more).is_ok());
    write(&format!("*:*:*:*:{escaped}\n"), 0o644);
    assert!(matches!(t.try_as("clear", &more), Err(Error::NoPassword)));
    // The parameter goes before the file.
    write("*:*:*:*:no\n", 0o600);
    let options = t.text("clear", &format!("{more} password='{}'", PASSWORD.replace('\\', "\\\\")));
    assert!(connect(&Options::parse(&options).unwrap(), Mode::Sql).is_ok());
}

/// CVE-2021-23222: what comes in clear behind the answer to SSLRequest is no part of the protocol.
#[test]
fn nothing_in_clear_is_taken_for_the_servers_word() {
    for answer in [&b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..], b"E\0\0\0\x10SFATAL\0Mlie\0\0", b"X"] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            socket.read_exact(&mut request).unwrap();
            assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
            socket.write_all(answer).unwrap();
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest);
            rest
        });
        let text = format!("host=127.0.0.1 port={port} user=u sslmode=require connect_timeout=5");
        let e = connect(&Options::parse(&text).unwrap(), Mode::Sql).unwrap_err();
        assert!(matches!(&e, Error::Tls(TlsError::Failed(_) | TlsError::Answer { .. })), "{e:?}");
        assert_eq!(e.diagnostic().code.to_string(), "PGS4027");
        let sent = server.join().unwrap();
        assert!(!sent.windows(4).any(|w| w == b"user"), "nothing was said in clear");
    }
}

#[test]
fn a_request_to_cancel_goes_over_tls() {
    let t = Theme::get();
    let mut connection = t.try_as("tls", "sslmode=verify-full sslrootcert=ROOT").unwrap();
    let token = connection.cancel_token();
    let pid = connection.backend_pid();
    let sleeper = std::thread::spawn(move || connection.execute("SELECT pg_sleep(60)"));
    let mut admin = t.admin();
    wait_for("the statement", LONG, || {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
        (!admin.query(sql, &[&(pid as i32)]).unwrap().is_empty()).then_some(())
    });
    token.cancel().unwrap();
    let e = sleeper.join().unwrap().unwrap_err();
    assert!(matches!(&e, Error::Server(e) if e.sqlstate == "57014"), "{e}");
}

/// The whole bridge as a role that owns nothing, over TLS with names checked, a client certificate and a bound
/// password; which is changed while it streams; and a server that shuts down.
#[test]
fn a_bridge_with_the_least_rights_over_tls() {
    // Of its own: it is stopped.
    let t = Theme::start();
    use_postgres(t.conninfo());
    let mut shop = Shop::new("tls", 40, "");
    let dir = shop.project.dir().to_owned();
    std::fs::write(dir.join("password"), format!("{PASSWORD}\n")).unwrap();
    let c = &t.certificates;
    let url = format!(
        "postgres://bridge@localhost:{}/{}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}&channel_binding=require",
        t.server.port,
        shop.database.name,
        c.path("ca.crt"),
        c.path("bridge.crt"),
        c.path("bridge.key")
    );
    let toml = dir.join("pgspine.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    let begin = text.find("url = ").unwrap();
    let end = begin + text[begin..].find('\n').unwrap();
    let keys = format!("url = \"{url}\"\npassword_file = \"password\"\npublication_mode = \"verify\"");
    std::fs::write(&toml, format!("{}{keys}{}", &text[..begin], &text[end..])).unwrap();
    let said = |o: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
    };

    // The role reads nothing yet; what `setup --sql` prints is all that the owner does.
    let refused = shop.project.output(&["check", "--live"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let printed = shop.project.output(&["setup", "--sql"]);
    assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));
    let mut owner = shop.database.client();
    owner.batch_execute(&String::from_utf8(printed.stdout).unwrap()).unwrap();
    let checked = shop.project.output(&["check", "--live"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let rights = owner.query_one("SELECT has_column_privilege('bridge', 'item', 'hidden', 'SELECT')", &[]).unwrap();
    assert!(!rights.get::<_, bool>(0));

    let mut process = shop.project.spawn(&["run"], &[]);
    shop.wait_streaming(&mut process);
    shop.work(20);
    shop.wait_confirmed(&mut process, LONG);
    let sql = "SELECT s.ssl, s.version, s.client_dn, a.usename::text FROM pg_stat_replication a JOIN pg_stat_ssl s USING (pid)";
    let seen = owner.query_one(sql, &[]).unwrap();
    assert_eq!((seen.get::<_, bool>(0), seen.get::<_, &str>(3)), (true, "bridge"));
    assert_eq!((seen.get::<_, &str>(1), seen.get::<_, &str>(2)), ("TLSv1.3", "/CN=bridge"));

    // The role's password changes first, the file only after the bridge has been refused.
    let mut admin = t.admin();
    admin.batch_execute("ALTER ROLE bridge PASSWORD 'the next one'").unwrap();
    admin.batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication").unwrap();
    shop.work(5);
    process.until_log("the refusal", LONG, |log| log.contains("password authentication failed"));
    std::fs::write(dir.join("password"), "the next one\n").unwrap();
    shop.work(5);
    shop.wait_confirmed(&mut process, LONG);

    // A fast shutdown waits for the walsender, and the walsender for us.
    shop.work(20);
    let begun = std::time::Instant::now();
    let status = t.server.stop_fast().wait().unwrap();
    let took = begun.elapsed();
    eprintln!("over TLS the server was gone after {took:?}");
    assert!(status.success() && took < Duration::from_secs(10), "{took:?}\n{}", process.log());
    let data = t.server.data();
    t.server.program("pg_ctl", &["-D", &data, "-l", &format!("{data}/log"), "-w", "-t", "60", "start"]);
    shop.oracle.reconnect();
    shop.work(10);
    shop.wait_confirmed(&mut process, LONG);

    // And one big transaction, of many records.
    shop.oracle
        .commit("INSERT INTO item SELECT i, repeat('n', 500), 20, NULL, 0 FROM generate_series(100000, 104000) i");
    shop.wait_confirmed(&mut process, LONG);
    assert_eq!(process.stop(), 0, "{}", process.log());
    eprintln!("{:?}", shop.oracle.verify());
    assert!(!process.log().contains("the next one") && !process.log().contains(PASSWORD));

    // At a start, a wrong password ends it at once.
    std::fs::write(dir.join("password"), "wrong\n").unwrap();
    let mut process = shop.project.spawn(&["run"], &[]);
    assert_eq!(process.code(LONG), 2, "{}", process.log());
    assert!(process.log().contains("PGS4004"), "{}", process.log());
    drop(owner);
}
