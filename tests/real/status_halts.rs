//! A bridge that cannot go on: what it says while it stays, what it leaves behind when it ends, and a disk that is of no use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Bench, said};
use crate::status::Running;
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn stays(bench: &Bench) {
    bench.edit("[postgres]", "on_halt = \"stay\"\n[postgres]");
}

fn check<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["checks"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap()
}

fn verdict(status: &Value) -> &str {
    status["verdict"]["text"].as_str().unwrap()
}

fn state(bridge: &Running, word: &str) -> Value {
    wait_for(word, LIMIT, || Some(bridge.status()).filter(|s| s["state"] == word))
}

#[test]
fn the_last_words_are_in_the_log_and_in_the_termination_log() {
    let bench = Bench::new("last", "");
    let file = bench.project.dir().join("termination-log");
    std::fs::write(&file, "what stood there before is longer than nothing").unwrap();
    let environment = [("PGSPINE_TERMINATION_LOG", file.to_str().unwrap())];
    let bridge = Running::start(&bench, &environment);
    state(&bridge, "streaming");
    bench.sql("INSERT INTO shop.item (id, name, price) VALUES (1, 'a', 'NaN')");
    let mut process = bridge.process;
    assert_eq!(process.code(LIMIT), 6);
    let left = std::fs::read_to_string(&file).unwrap();
    assert!(left.starts_with("exit 6: PGS8007: Stopped ") && left.contains("Remedy: "), "{left}");
    assert!(!left.contains("before is longer") && left.len() <= 4096, "{left}");
    let log = process.log();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&last["message"], &last["exit"]), (&json!("ended"), &json!(6)), "{last}");
    assert_eq!(format!("exit 6: {}\n", last["reason"].as_str().unwrap()), left);

    // What was wrong before anything ran is said there too; an end that was asked for is not.
    bench.edit("[postgres]", "[postgress]");
    let mut process = bench.project.spawn(&["run"], &environment);
    assert_eq!(process.code(LIMIT), 2);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("exit 2: the configuration"));
}

#[test]
fn a_dropped_column_is_told_with_its_deadline() {
    let bench = Bench::new("drift_said", "");
    stays(&bench);
    let mut bridge = Running::start(&bench, &[("PGSPINE_WATCH_SECONDS", "0.2")]);
    state(&bridge, "streaming");
    bench.sql("ALTER TABLE shop.item DROP COLUMN note");
    let status = state(&bridge, "failed");
    let said_there = verdict(&status);
    assert!(said_there.starts_with("Stopped ") && said_there.contains("shop.item"), "{status:#}");
    assert!(said_there.contains("note"), "{status:#}");
    assert_eq!(status["verdict"]["runbook"], "PgspineSchemaDrift", "{status:#}");
    assert_eq!(check(&status, "schema")["state"], "critical");
    assert_eq!(status["transforms"]["shop/item"]["state"], "stopped");
    // While it stays, the slot is looked at, and what the server writes is seen.
    let looked = |s: &Value| s["slot"]["looked_at"].as_str().map(str::to_owned);
    let before = looked(&status);
    bench.sql("INSERT INTO shop.item (id, name, price) SELECT i, 'b', i FROM generate_series(1, 1000) i");
    let later = wait_for("a later look", LIMIT, || {
        let s = bridge.status();
        let more = s["distances"]["wal_received"]["bytes"].as_u64() > Some(10_000);
        (looked(&s) > before && more).then_some(s)
    });
    assert!(later["slot"]["retained_wal_bytes"].as_u64() > Some(0), "{later:#}");
    bridge.wait_metric("pgspine_schema_drift", &[("transform", "shop/item"), ("kind", "column")], |v| v == 1.0);
    let (_, text) = said(&bench.project.output(&["status"]));
    assert!(text.contains("Stopped ") && text.contains("schema      critical: "), "{text}");
    assert_eq!(bridge.process.stop(), 6);
}

/// A volume of its own under the project's state directory.
struct Volume(PathBuf);

impl Volume {
    /// None, and a word about it: only root may mount.
    fn mount(bench: &Bench, options: &str) -> Option<Volume> {
        // SAFETY: asks for a number.
        if unsafe { libc::geteuid() } != 0 {
            eprintln!("NOT TESTED: a volume can only be mounted by root");
            return None;
        }
        let dir = bench.project.dir().join("state");
        std::fs::create_dir_all(&dir).unwrap();
        let volume = Volume(dir);
        volume.command("mount", &["-t", "tmpfs", "-o", options, "pgspine-test"]);
        Some(volume)
    }

    fn remount(&self, options: &str) {
        self.command("mount", &["-o", &format!("remount,{options}")]);
    }

    fn command(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).arg(&self.0).output().expect(program);
        assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a process that is killed just after this may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// As many bytes as there is room for.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let block = vec![1u8; 4096];
    while file.write_all(&block).is_ok() {}
}

#[test]
fn a_read_only_volume_is_said_and_the_process_stays_if_it_should() {
    let bench = Bench::new("read_only", "");
    let Some(volume) = Volume::mount(&bench, "size=16m") else { return };
    volume.remount("ro");
    let (code, text) = said(&bench.project.output(&["run"]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("PGS7003") && text.contains("Read-only file system"), "{text}");
    stays(&bench);
    let mut bridge = Running::start(&bench, &[]);
    let status = state(&bridge, "failed");
    assert_eq!((&status["problem"]["code"], &status["problem"]["exit"]), (&json!("PGS7003"), &json!(2)), "{status:#}");
    assert!(verdict(&status).contains("Read-only file system"), "{status:#}");
    assert_eq!(check(&status, "state_disk")["state"], "critical");
    assert_eq!((bridge.get("/livez").0, bridge.get("/readyz").0), (200, 503));
    bridge.wait_metric("pgspine_state_disk_free_bytes", &[], |v| v > 0.0);
    assert_eq!(bridge.process.stop(), 2);
}

#[test]
fn a_full_volume_is_waited_for_and_nothing_is_lost() {
    let bench = Bench::new("full", "");
    let Some(volume) = Volume::mount(&bench, "size=200m") else { return };
    let mut bridge = Running::start(&bench, &[]);
    state(&bridge, "streaming");
    let filler = volume.0.join("filler");
    fill(&filler);
    bench.sql("INSERT INTO shop.item (id, name, price) SELECT i, repeat(md5(i::text), 20), i FROM generate_series(1, 20000) i");
    let status =
        wait_for("the full disk", LIMIT, || Some(bridge.status()).filter(|s| s["problem"]["code"] == "PGS7002"));
    assert_eq!(
        (&status["problem"]["retrying"], &check(&status, "state_disk")["state"]),
        (&json!(true), &json!("critical")),
        "{status:#}"
    );
    assert!(verdict(&status).contains("state") && verdict(&status).contains("tried again"), "{status:#}");
    assert_eq!(bridge.get("/livez").0, 200);
    std::fs::remove_file(&filler).unwrap();
    state(&bridge, "streaming");
    wait_for("all rows", LIMIT, || (fold(&read_topic(&bench.topic)).len() == 20_000).then_some(()));
    // Nothing twice: what Kafka had before the state was full is not emitted again.
    assert_eq!(read_topic(&bench.topic).len(), 20_000);
    assert_eq!(bridge.process.stop(), 0);
}
