//! What a client can ask, and what it cannot do.

use super::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn ask(server: &Server, method: &str, path: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn each_path_answers() {
    let health = Health::new();
    let status: StatusSource = Arc::new(|| serde_json::json!({"bridge": "shop"}));
    let server = Server::start("127.0.0.1:0", health.clone(), Metrics::new("shop", "0", "r"), status).unwrap();
    assert_eq!(ask(&server, "GET", "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(ask(&server, "GET", "/readyz"), (503, "starting\n".to_owned()));
    health.ready();
    assert_eq!(ask(&server, "GET", "/readyz").0, 200);
    assert_eq!(ask(&server, "GET", "/status"), (200, "{\"bridge\":\"shop\"}".to_owned()));
    assert!(ask(&server, "GET", "/metrics").1.contains("# TYPE pgspine_build_info gauge"));
    assert!(ask(&server, "GET", "/").1.contains("fetch(\"status\""));
    assert_eq!(ask(&server, "POST", "/status").0, 405);
    assert_eq!(ask(&server, "DELETE", "/").0, 405);
    assert_eq!(ask(&server, "GET", "/nowhere").0, 404);

    let address = server.address().to_string();
    let again = Server::start(&address, Health::new(), Metrics::new("b", "0", "r"), Arc::new(|| serde_json::json!({})));
    assert!(matches!(again, Err(HttpError::Listen { .. })));
    // An idle connection does not hold the end.
    let idle = std::net::TcpStream::connect(server.address()).unwrap();
    drop(server);
    drop(idle);
}

fn server() -> Server {
    let health = Health::new();
    health.ready();
    // Larger than any socket's buffers, for a client that does not read.
    let status: StatusSource = Arc::new(|| serde_json::json!({ "bridge": "b".repeat(32 << 20) }));
    Server::start("127.0.0.1:0", health, Metrics::new("shop", "0", "r"), status).unwrap()
}

/// Sends bytes as they are; gives the answer up to the connection's end.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(connections::HEAD * 2)).unwrap();
    // The server may have answered and gone before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
            Err(e) => panic!("{e}"),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[test]
fn odd_requests_have_an_answer() {
    let server = server();
    let close = "host: x\r\nconnection: close\r\n";
    for (request, expected) in [
        (format!("HEAD /livez HTTP/1.1\r\n{close}\r\n"), "200"),
        ("GET /livez HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (format!("GET /livez?a=b HTTP/1.1\r\n{close}\r\n"), "200"),
        (format!("GET http://other/livez HTTP/1.1\r\n{close}\r\n"), "200"),
        (format!("GET /livez HTTP/1.1\r\ncontent-length: 5\r\n{close}\r\nhello"), "200"),
        (format!("OPTIONS /status HTTP/1.1\r\n{close}\r\n"), "405"),
        (format!("POST /status HTTP/1.1\r\ncontent-length: 100000000\r\n{close}\r\nx"), "405"),
        (format!("TRACE / HTTP/1.1\r\n{close}\r\n"), "405"),
        (format!("PGSPINE / HTTP/1.1\r\n{close}\r\n"), "405"),
        (format!("GET /%2e%2e/ HTTP/1.1\r\n{close}\r\n"), "404"),
        (format!("GET /../../etc/passwd HTTP/1.1\r\n{close}\r\n"), "404"),
        (format!("GET /livez\0 HTTP/1.1\r\n{close}\r\n"), "400"),
        ("nonsense\r\n\r\n".into(), "400"),
    ] {
        let answer = raw(&server, request.as_bytes());
        assert_eq!(code(&answer), expected, "{request:?} gives {answer:?}");
        if expected == "405" {
            assert!(answer.to_lowercase().contains("allow: get,head"), "{answer}");
        }
    }
    let head = raw(&server, format!("HEAD /livez HTTP/1.1\r\n{close}\r\n").as_bytes());
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_too_large_is_refused() {
    let server = server();
    let line = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let header = format!("GET /livez HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(2000));
    for (request, expected) in [(line, ["414", "431"]), (header, ["431", "431"]), (many, ["431", "431"])] {
        let answer = raw(&server, request.as_bytes());
        // A client that still writes may see the end of the connection alone.
        assert!(answer.is_empty() || expected.contains(&code(&answer)), "{answer:?}");
    }
    assert_eq!(ask(&server, "GET", "/livez").0, 200);
}

#[test]
fn every_answer_is_protected_and_connections_are_kept() {
    let server = server();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for path in ["/livez", "/", "/nowhere"] {
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        let mut byte = [0];
        while !answer.ends_with("\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(char::from(byte[0]));
        }
        for header in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "content-security-policy: default-src 'none';",
        ] {
            assert!(answer.contains(header), "{path}: {answer}");
        }
        let length = answer.split("content-length: ").nth(1).and_then(|l| l.split('\r').next()).unwrap();
        stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    }
}

#[test]
fn slow_and_many_clients_do_not_keep_others_out() {
    let server = server();
    // One that sends its head letter by letter, one that never reads, and more idle ones than there is room for.
    let mut slow = TcpStream::connect(server.address()).unwrap();
    write!(slow, "GET /livez HTTP/1.1\r\nhost: x\r\na: ").unwrap();
    let mut deaf = TcpStream::connect(server.address()).unwrap();
    write!(deaf, "GET /status HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let begun = Instant::now();
    assert_eq!(ask(&server, "GET", "/livez").0, 200);
    let idle: Vec<TcpStream> =
        (0..connections::MOST * 2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask(&server, "GET", path).0, 200);
    }
    assert!(begun.elapsed() < connections::HEAD, "{:?}", begun.elapsed());
    // The oldest had to go.
    slow.set_read_timeout(Some(connections::HEAD)).unwrap();
    assert!(matches!(slow.read(&mut [0; 16]), Ok(0) | Err(_)));
    drop((deaf, idle));
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let server = server();
    let begun = Instant::now();
    let answer = raw(&server, b"GET /livez HTTP/1.1\r\nhost: x\r\na: ");
    assert!(answer.is_empty() || code(&answer) == "408", "{answer:?}");
    assert!(begun.elapsed() >= connections::HEAD / 2, "{:?}", begun.elapsed());
}
