use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

#[test]
fn versions_are_numbers() {
    for (text, number) in
        [("15.18 (Debian 15.18-0+deb12u1)", 150_018), ("17beta2", 170_000), ("18.4", 180_004), ("", 0)]
    {
        assert_eq!(version_num(text), number, "{text}");
    }
}

#[test]
fn command_tags_say_what_changed() {
    for (tag, changes) in
        [("INSERT 0 3", 3), ("UPDATE 12", 12), ("DELETE 0", 0), ("SELECT 5", 0), ("COMMIT", 0), ("", 0)]
    {
        assert_eq!(changed(tag), changes, "{tag}");
    }
}

/// What comes of a server that reads our first packet, answers with `answer`, and goes or stays silent.
fn against(answer: &'static [u8], stays: bool) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut packet = [0; 1024];
        assert!(socket.read(&mut packet).unwrap() > 8);
        socket.write_all(answer).unwrap();
        if stays {
            // Until the client has given up.
            let _ = socket.read(&mut packet);
        }
    });
    let options =
        Options::parse(&format!("host=127.0.0.1 port={port} user=u connect_timeout=1 sslmode=disable")).unwrap();
    let e = connect(&options, Mode::Sql).unwrap_err();
    server.join().unwrap();
    e
}

#[test]
fn servers_that_are_none_are_found_out() {
    assert!(matches!(against(b"", false), Error::Closed | Error::Io(_)));
    assert!(matches!(against(b"", true), Error::ReadTimeout));
    assert!(matches!(against(b"HTTP/1.1 400 Bad Request\r\n\r\n", false), Error::Protocol(_)));
    assert!(matches!(against(b"R\0\0\0\x03", false), Error::Protocol(_)));
    assert!(matches!(against(b"R\0\0\0\x06\0\0", false), Error::Protocol(_)));
    assert!(matches!(against(b"R\0\0\0\x08\0\0\0\x07", false), Error::AuthenticationMethod { .. }));
    assert!(matches!(against(b"R\0\0\0\x08\0\0\0\0Q\0\0\0\x04", false), Error::Protocol(_)));
    let refused = against(b"E\0\0\0\x20SFATAL\0C57P03\0Mstarting up\0\0", false);
    assert!(matches!(&refused, Error::Server(e) if e.sqlstate == "57P03"), "{refused}");
    assert!(refused.is_transient());
}

#[test]
fn the_next_host_is_tried_when_one_is_dead() {
    let options = Options::parse("host=127.0.0.1,127.0.0.1 port=1,2 user=u").unwrap();
    let Error::Connect { address, .. } = connect(&options, Mode::Sql).unwrap_err() else { panic!("connected") };
    assert_eq!(address, "127.0.0.1:2", "the last one's error is shown");
}
