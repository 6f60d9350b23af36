//! What does not fit about a topic that is there.

use crate::diagnostic::Diagnostic;
use crate::emit::codes;
use crate::emit::options::Kind;

use super::{Found, Purpose, Wanted};

/// Kafka adds its own framing to a record (the batch header and lengths), and a transaction's annotations come on top of
/// `max_record`: 1 KiB at most, and their lengths.
const FRAMING: u32 = 2048;
/// Kafka's default: a consumer that is away for longer misses deletes.
const SHORT_DELETE_RETENTION_MS: i64 = 86_400_000;

pub(super) fn is_topic_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.bytes().all(fits)
}

pub(super) fn verify(wanted: &Wanted, found: &Found) -> Vec<Diagnostic> {
    let name = &wanted.name;
    let mut findings = Vec::new();
    let alter = |setting: &str, value: &str| {
        format!("kafka-configs --alter --entity-type topics --entity-name {name} --add-config {setting}={value}")
    };

    let partitions = match wanted.purpose {
        Purpose::Progress => Some(1),
        Purpose::Data(_) => wanted.pinned_partitions,
    };
    if let Some(pinned) = partitions
        && pinned != found.partitions
    {
        let help = match wanted.purpose {
            Purpose::Progress => {
                "a progress topic has exactly one partition: name another one in [kafka] progress_topic".to_owned()
            }
            Purpose::Data(_) => format!(
                "keys now belong to other partitions than their older records: publish to a topic with another name, \
                 or delete {name} and let it be filled again with {pinned} partitions"
            ),
        };
        findings.push(
            Diagnostic::error(
                codes::PARTITION_COUNT,
                format!("topic {name} has {} partitions where {pinned} are expected", found.partitions),
            )
            .help(help),
        );
    }

    if let (Some(pinned), Some(id)) = (&wanted.pinned_topic_id, &found.topic_id)
        && pinned != id
    {
        findings.push(
            Diagnostic::error(
                codes::TOPIC_RECREATED,
                format!("topic {name} was deleted and made again: its id is {id}, progress knows {pinned}"),
            )
            .help("what was published to the old one is gone; reconcile the transform to fill the new one"),
        );
    }

    let policy = found.config.get("cleanup.policy").map_or("", String::as_str);
    let fits = match wanted.purpose {
        // "compact,delete" loses the last value of keys that rest for longer than the retention.
        Purpose::Data(Kind::Entity) | Purpose::Progress => policy == "compact",
        Purpose::Data(Kind::Event | Kind::DeadLetter) => !policy.contains("compact"),
    };
    if !fits && !policy.is_empty() {
        let (needs, why) = match wanted.purpose {
            Purpose::Data(Kind::Entity) => ("compact", "an entity's last value must stay"),
            Purpose::Progress => ("compact", "the last progress record must stay"),
            Purpose::Data(Kind::Event) => ("delete", "every event must stay until its retention ends"),
            Purpose::Data(Kind::DeadLetter) => ("delete", "every dead letter must stay until its retention ends"),
        };
        findings.push(
            Diagnostic::error(
                codes::CLEANUP_POLICY,
                format!("topic {name} has cleanup.policy={policy}, and needs {needs}: {why}"),
            )
            .help(alter("cleanup.policy", needs)),
        );
    }

    if let Some(limit) = found.max_message_bytes()
        && matches!(wanted.purpose, Purpose::Data(_))
        && limit < wanted.max_record.saturating_add(FRAMING)
    {
        findings.push(
            Diagnostic::error(
                codes::MAX_MESSAGE_BYTES,
                format!("topic {name} takes records of up to {limit} bytes, max_record is {}", wanted.max_record),
            )
            .help(format!(
                "{}, or lower max_record in the transform's header",
                alter("max.message.bytes", &wanted.max_record.saturating_add(FRAMING).to_string())
            )),
        );
    }

    if wanted.purpose == Purpose::Data(Kind::Entity)
        && let Some(retention) = found.config.get("delete.retention.ms").and_then(|v| v.parse::<i64>().ok())
        && retention <= SHORT_DELETE_RETENTION_MS
    {
        findings.push(
            Diagnostic::warning(
                codes::DELETE_RETENTION,
                format!("topic {name} drops tombstones after delete.retention.ms={retention}: a consumer that reads for longer than that keeps deleted keys"),
            )
            .help(alter("delete.retention.ms", "604800000")),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    fn check(purpose: Purpose, edit: impl FnOnce(&mut Wanted, &mut Found), expected: &[Code]) {
        let mut wanted = Wanted::new("t", purpose);
        let mut config = wanted.settings();
        config.insert("max.message.bytes".to_owned(), "1048588".to_owned());
        let mut found = Found { partitions: wanted.partitions, topic_id: Some("a".to_owned()), config, created: false };
        edit(&mut wanted, &mut found);
        let codes: Vec<_> = verify(&wanted, &found).into_iter().map(|d| d.code).collect();
        assert_eq!(codes, expected);
    }

    fn set(found: &mut Found, name: &str, value: &str) {
        found.config.insert(name.to_owned(), value.to_owned());
    }

    #[test]
    fn what_we_make_fits() {
        for purpose in [
            Purpose::Data(Kind::Entity),
            Purpose::Data(Kind::Event),
            Purpose::Data(Kind::DeadLetter),
            Purpose::Progress,
        ] {
            check(purpose, |_, _| {}, &[]);
        }
    }

    #[test]
    fn each_misfit_is_named() {
        let entity = Purpose::Data(Kind::Entity);
        check(entity, |w, _| w.pinned_partitions = Some(3), &[codes::PARTITION_COUNT]);
        check(Purpose::Progress, |_, f| f.partitions = 2, &[codes::PARTITION_COUNT]);
        check(entity, |w, _| w.pinned_topic_id = Some("b".to_owned()), &[codes::TOPIC_RECREATED]);
        check(entity, |_, f| set(f, "cleanup.policy", "delete"), &[codes::CLEANUP_POLICY]);
        check(entity, |_, f| set(f, "cleanup.policy", "compact,delete"), &[codes::CLEANUP_POLICY]);
        check(Purpose::Data(Kind::Event), |_, f| set(f, "cleanup.policy", "compact"), &[codes::CLEANUP_POLICY]);
        check(entity, |_, f| set(f, "max.message.bytes", "900000"), &[codes::MAX_MESSAGE_BYTES]);
        check(entity, |_, f| set(f, "delete.retention.ms", "86400000"), &[codes::DELETE_RETENTION]);
    }

    #[test]
    fn names_that_kafka_takes() {
        for (name, takes) in [("a.b_c-1", true), ("", false), ("..", false), ("a/b", false), ("é", false)] {
            assert_eq!(is_topic_name(name), takes, "{name}");
        }
        assert!(!is_topic_name(&"a".repeat(250)));
    }
}
