//! The client against a real registry: the same answers as from the one in the process.

use pgspine::registry::{Client, ClientOptions, Mode, RegistryError};

const V1: &str = r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"}]}"#;
const V1_REORDERED: &str = r#"{"name":"x.R","fields":[{"type":"int","name":"a"}],"type":"record"}"#;
const V2: &str = r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}]}"#;
const WITHOUT_DEFAULT: &str =
    r#"{"type":"record","name":"x.R","fields":[{"name":"a","type":"int"},{"name":"c","type":"string"}]}"#;

/// A subject of its own, removed at the end.
struct Subject {
    client: Client,
    name: String,
}

impl Subject {
    fn new(theme: &str) -> Subject {
        let url = std::env::var("PGSPINE_TEST_REGISTRY").expect("`make test` sets PGSPINE_TEST_REGISTRY");
        let client = Client::new(&ClientOptions { url, ..ClientOptions::default() }).unwrap();
        Subject { client, name: format!("pgspine-test-{theme}-{:x}-value", fastrand::u64(..)) }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.client.delete_subject(&self.name);
    }
}

#[test]
fn registry_a_schema_is_registered_once_and_found_again() {
    let subject = Subject::new("once");
    let (client, name) = (&subject.client, subject.name.as_str());
    client.ping().unwrap();
    assert_eq!(client.lookup(name, V1).unwrap(), None);
    assert!(client.versions(name).unwrap().is_empty());
    assert!(matches!(
        client.ensure(name, V1, Mode::Verify, "FULL_TRANSITIVE"),
        Err(RegistryError::NotRegistered { .. })
    ));
    let id = client.ensure(name, V1, Mode::Register, "FULL_TRANSITIVE").unwrap();
    assert_eq!(client.level(name).unwrap(), "FULL_TRANSITIVE");
    assert_eq!(client.ensure(name, V1_REORDERED, Mode::Verify, "FULL_TRANSITIVE").unwrap(), id);
    let text: serde_json::Value = serde_json::from_str(&client.schema(id).unwrap()).unwrap();
    assert_eq!(text, serde_json::from_str::<serde_json::Value>(V1).unwrap());
    assert_ne!(client.ensure(name, V2, Mode::Register, "FULL_TRANSITIVE").unwrap(), id);
    assert_eq!(client.versions(name).unwrap(), [1, 2]);
}

#[test]
fn registry_refusals_are_told_apart() {
    let subject = Subject::new("refused");
    let (client, name) = (&subject.client, subject.name.as_str());
    client.ensure(name, V1, Mode::Register, "FULL_TRANSITIVE").unwrap();
    assert!(client.incompatibilities(name, V2).unwrap().is_none());
    assert!(client.incompatibilities(name, WITHOUT_DEFAULT).unwrap().is_some());
    let error = client.ensure(name, WITHOUT_DEFAULT, Mode::Register, "FULL_TRANSITIVE").unwrap_err();
    assert!(matches!(&error, RegistryError::Incompatible { message, .. } if !message.is_empty()), "{error}");
    let error = client.ensure(name, "{}", Mode::Register, "FULL_TRANSITIVE").unwrap_err();
    assert!(matches!(&error, RegistryError::Invalid { .. }), "{error:?}");
    let error = client.ensure(name, V2, Mode::Register, "BACKWARD").unwrap_err();
    assert!(matches!(&error, RegistryError::Level { .. }), "{error}");
    assert!(client.schema(4_000_000).is_err());
}

#[test]
fn registry_a_level_that_holds_for_all_needs_no_setting() {
    let subject = Subject::new("none");
    let (client, name) = (&subject.client, subject.name.as_str());
    client.ensure(name, V1, Mode::Register, "NONE").unwrap();
    assert_eq!(client.level(name).unwrap(), "NONE");
    assert_ne!(client.ensure(name, WITHOUT_DEFAULT, Mode::Register, "NONE").unwrap(), 0);
    assert_eq!(client.versions(name).unwrap(), [1, 2]);
}
