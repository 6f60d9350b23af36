use super::*;

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp { name: name.into(), port }
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
        assert_eq!((o.connect_timeout, o.sslmode), (Duration::from_secs(3), SslMode::Disable));
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
        ("user=u sslmode=verify-full", "sslmode=verify-full needs TLS, which this version does not have yet"),
        ("user=u sslmode=yes", "sslmode = \"yes\" is not supported; disable, allow or prefer"),
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
