use super::*;
use crate::registry::memory;

const V1: &str = r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"}]}"#;
/// V1 with other order of keys.
const V1_REORDERED: &str = r#"{"name":"x.R","fields":[{"type":"int","name":"a"}],"type":"record"}"#;
const V2: &str = r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}]}"#;
const WITHOUT_DEFAULT: &str =
    r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"},{"name":"c","type":"string"}]}"#;

fn client(url: &str) -> Client {
    Client::new(&ClientOptions { url: url.to_owned(), ..ClientOptions::default() }).unwrap()
}

#[test]
fn a_schema_is_registered_once_and_found_again() {
    let registry = memory::spawn().unwrap();
    let client = client(&registry.url);
    client.ping().unwrap();
    assert_eq!(client.lookup("t-value", V1).unwrap(), None);
    assert!(matches!(
        client.ensure("t-value", V1, Mode::Verify, "FULL_TRANSITIVE"),
        Err(RegistryError::NotRegistered { .. })
    ));
    let id = client.ensure("t-value", V1, Mode::Register, "FULL_TRANSITIVE").unwrap();
    assert_eq!(client.level("t-value").unwrap(), "FULL_TRANSITIVE");
    assert_eq!(client.ensure("t-value", V1_REORDERED, Mode::Verify, "FULL_TRANSITIVE").unwrap(), id);
    assert_eq!(client.schema(id).unwrap(), V1);
    let second = client.ensure("t-value", V2, Mode::Register, "FULL_TRANSITIVE").unwrap();
    assert_ne!(second, id);
    assert_eq!(client.versions("t-value").unwrap(), [1, 2]);
}

#[test]
fn a_refusal_shows_the_registrys_message() {
    let registry = memory::spawn().unwrap();
    let client = client(&registry.url);
    client.ensure("t-value", V1, Mode::Register, "FULL_TRANSITIVE").unwrap();
    let error = client.ensure("t-value", WITHOUT_DEFAULT, Mode::Register, "FULL_TRANSITIVE").unwrap_err();
    assert!(
        matches!(&error, RegistryError::Incompatible { message, .. } if message.contains("/c has no default")),
        "{error}"
    );
    assert!(!error.is_retriable());
    let error = client.ensure("t-value", "{}", Mode::Register, "FULL_TRANSITIVE").unwrap_err();
    assert!(matches!(error, RegistryError::Invalid { .. }), "{error}");
    let error = client.ensure("t-value", V2, Mode::Register, "BACKWARD").unwrap_err();
    assert!(matches!(error, RegistryError::Level { .. }), "{error}");
    assert!(client.set_level("t-value", "NONSENSE").is_err());
    assert!(client.schema(99).is_err());
}

#[test]
fn the_next_address_is_tried_and_an_absent_registry_can_come_back() {
    let registry = memory::spawn().unwrap();
    let gone = memory::spawn().unwrap().url.clone();
    client(&format!("{gone}, {}", registry.url)).ping().unwrap();
    let error = client(&gone).ping().unwrap_err();
    assert!(error.is_retriable(), "{error}");
    assert_eq!(error.diagnostic().code.to_string(), "PGS6001");
}

#[test]
fn secrets_are_not_printed() {
    let options = ClientOptions {
        url: "http://127.0.0.1:1".into(),
        username: Some("u".into()),
        password: Some("hush".into()),
        bearer_token: Some("hush".into()),
        ..ClientOptions::default()
    };
    let client = Client::new(&options).unwrap();
    let said = format!("{options:?} {client:?} {}", client.ping().unwrap_err().diagnostic());
    assert!(!said.contains("hush"), "{said}");
    assert_eq!(base64(b"Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}
