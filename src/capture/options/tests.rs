use super::*;

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp { name: name.into(), address: None, port }
}

#[test]
fn url_and_keywords_say_the_same() {
    let url = Options::parse("postgres://us%65r:p%40ss@db1:5433,[::1]/shop?connect_timeout=3&sslmode=disable").unwrap();
    let words = Options::parse(
        r"host=db1,::1 port = 5433,5432 user=user password='p@ss' dbname=shop connect_timeout=3 sslmode=disable",
    )
    .unwrap();
    for o in [&url, &words] {
        assert_eq!(o.hosts, [tcp("db1", 5433), tcp("::1", 5432)]);
        assert_eq!((o.user.as_str(), o.database.as_str()), ("user", "shop"));
        assert_eq!(o.password, Password::Value("p@ss".into()));
        assert_eq!((o.connect_timeout, o.tls.mode), (Duration::from_secs(3), SslMode::Disable));
    }
}

#[test]
fn a_directory_is_a_unix_socket() {
    for text in
        ["postgresql://u@%2Fvar%2Frun/db", "host=/var/run user=u dbname=db", "postgres:///db?host=/var/run&user=u"]
    {
        let o = Options::parse(text).unwrap();
        assert_eq!(o.hosts, [Host::Unix { directory: "/var/run".into(), port: 5432 }], "{text}");
        assert_eq!(o.database, "db");
    }
}

#[test]
fn quotes_and_backslashes() {
    let o = Options::parse(r"user='a b\'c\\' dbname=x\ y").unwrap();
    assert_eq!((o.user.as_str(), o.database.as_str()), (r"a b'c\", "x y"));
}

#[test]
fn unknown_parameters_name_the_nearest() {
    let e = Options::parse("postgres://u@h/d?ssl_mode=disable").unwrap_err();
    assert_eq!(e.to_string(), "ssl_mode is not a connection parameter; sslmode is");
    assert_eq!(Options::parse("user=u hots=x").unwrap_err().to_string(), "hots is not a connection parameter; host is");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    for (text, says) in [
        (
            "user=u sslmode=yes",
            "sslmode = \"yes\" is not supported; disable, allow, prefer, require, verify-ca or verify-full",
        ),
        (
            "user=u sslmode=require sslrootcert=system",
            "sslmode = \"require\" is not supported; verify-full is the only one with sslrootcert=system",
        ),
        (
            "user=u sslcrl=x",
            "sslcrl is not supported: revocation lists are not read; give the server a certificate with a short life instead",
        ),
        (
            "user=u load_balance_hosts=random",
            "load_balance_hosts is not supported: a slot lives on one server: hosts are tried in their order",
        ),
        (
            "user=u target_session_attrs=standby",
            "target_session_attrs = \"standby\" is not supported; any, primary or read-write: the slot and what is published live on the primary",
        ),
        (
            "user=u sslnegotiation=direct",
            "sslnegotiation = \"direct\" is not supported; postgres: TLS is asked for by SSLRequest, which every server knows",
        ),
        (
            "user=u ssl_min_protocol_version=TLSv1",
            "ssl_min_protocol_version = \"TLSv1\" is not supported; TLSv1.2 or TLSv1.3",
        ),
        ("user=u channel_binding=maybe", "channel_binding = \"maybe\" is not supported; disable, prefer or require"),
        (
            "user=u require_auth=md5,!none",
            "require_auth = \"md5,!none\" is not supported; a list of none, password, md5 and scram-sha-256, or all with '!'",
        ),
        ("user=u host=db hostaddr=db", "hostaddr = \"db\" is not supported; an IP address; names go into host"),
        ("user=u host=a,b hostaddr=127.0.0.1", "the list of addresses is not as long as the list of hosts"),
        (
            "user=u port=0",
            "a port is a number from 1 to 65535; in a URL, / and @ of a password are written %2F and %40",
        ),
        ("user=u port=1,2", "the list of ports is not as long as the list of hosts"),
        ("user", "a keyword is not followed by '='"),
        ("user='u", "a quoted value has no closing quote"),
        ("postgres://u%4@h/d", "a '%' is not followed by two hexadecimal digits of UTF-8 text"),
        ("postgres://u%00@h/d", "user holds a zero byte"),
        ("user=u gssencmode=require", "gssencmode = \"require\" is not supported; disable or prefer"),
    ] {
        assert_eq!(Options::parse(text).unwrap_err().to_string(), says, "{text}");
    }
}

#[test]
fn the_password_is_never_printed() {
    let o = Options::parse("postgres://u:hushhush@h/d").unwrap();
    assert!(!format!("{o:?}").contains("hushhush"));
}

#[test]
fn tls_is_read_as_libpq_does() {
    let text = "postgres://u@db/d?sslmode=verify-ca&sslrootcert=/r&sslcert=/c&sslkey=/k&sslsni=0&\
                ssl_min_protocol_version=TLSv1.3&channel_binding=require&hostaddr=10.0.0.1";
    let o = Options::parse(text).unwrap();
    let wanted = TlsSettings {
        mode: SslMode::VerifyCa,
        root: Root::File("/r".into()),
        certificate: Some("/c".into()),
        key: Some("/k".into()),
        send_certificate: true,
        sni: false,
        only_tls13: true,
    };
    assert_eq!((&o.tls, o.channel_binding), (&wanted, Binding::Require));
    assert_eq!(o.hosts, [Host::Tcp { name: "db".into(), address: "10.0.0.1".parse().ok(), port: 5432 }]);
    assert_eq!(o.hosts[0].to_string(), "db:5432 (10.0.0.1)");
    let o = Options::parse("user=u sslrootcert=system").unwrap();
    assert_eq!((o.tls.mode, o.tls.root), (SslMode::VerifyFull, Root::System));
    assert_eq!(Options::parse("user=u").unwrap().tls, TlsSettings::default());
}
