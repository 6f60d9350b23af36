//! The first load: `psql COPY` to /dev/null against the whole of snapshot, state and reconcile into Apache Kafka.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Options;
use crate::case::Shape;
use crate::measure;
use crate::report::{LoadLine, Report};
use crate::source::{Database, Project, part};

pub fn run(options: &Options, report: &mut Report) {
    for (title, shape, identity, rows) in [
        ("narrow, identity FULL", Shape::Narrow, "FULL", 400_000),
        ("narrow, identity DEFAULT", Shape::Narrow, "DEFAULT", 400_000),
        ("wide, identity FULL", Shape::Wide, "FULL", 100_000),
    ] {
        let rows = options.scaled(rows);
        eprintln!("load: {title}");
        let mut db = Database::new("bench_load");
        db.client.batch_execute(&shape.table()).expect("the table");
        db.client.batch_execute(&format!("ALTER TABLE t REPLICA IDENTITY {identity}")).expect("the identity");
        // What a start costs with nothing to load is taken off.
        let empty = Project::new("load_empty", &db.name, &shape.select(None), &shape.contract());
        let start = timed(|| empty.prepare());
        db.client.batch_execute(&shape.insert("1", &rows.to_string())).expect("rows");
        db.client.batch_execute("VACUUM (FREEZE, ANALYZE) t").expect("VACUUM");
        db.settle();
        let copy = [copy(&db.name, &shape.select(None)), copy(&db.name, &shape.select(None))];
        let project = Project::new("load_kafka", &db.name, &shape.select(None), &shape.contract());
        let mut child = project.spawn(&[], Some("caught-up"), false);
        let begun = Instant::now();
        let mut peak = 0;
        let mut cpu = Duration::ZERO;
        let status = loop {
            peak = peak.max(measure::peak(child.id()));
            cpu = cpu.max(measure::threads(child.id()).values().sum());
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                break status;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let whole = begun.elapsed();
        assert!(status.success(), "{}", project.log());
        let line = LoadLine { title, rows, copy: (copy[0] + copy[1]) / 2, start, whole, cpu, peak_kib: peak };
        eprintln!("  {line:?}");
        report.load(line);
    }
}

fn timed(f: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    f();
    begun.elapsed()
}

fn copy(database: &str, select: &str) -> Duration {
    timed(|| {
        let status = Command::new("psql")
            .args(["-X", "-q", "-h", &part("host"), "-p", &part("port"), "-U", &part("user"), "-d", database])
            .args(["-c", &format!("COPY ({select}) TO STDOUT")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("psql starts");
        assert!(status.success());
    })
}
