//! Tables for people, on the terminal and in docs/benchmarks.md.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::case::Case;
use crate::measure::Measured;
use crate::source::StateBytes;

#[derive(Default)]
pub struct Report {
    streaming: String,
    loads: String,
    latency: String,
    joins: String,
    states: String,
    load_before: String,
}

#[derive(Debug)]
pub struct LoadLine {
    pub title: &'static str,
    pub rows: u64,
    pub copy: Duration,
    pub start: Duration,
    pub whole: Duration,
    pub cpu: Duration,
    pub peak_kib: u64,
}

pub struct JoinLine {
    pub title: &'static str,
    pub changes: u64,
    /// Roots that the changes concern.
    pub entities: u64,
    pub recv: Vec<Measured>,
    /// With hits and misses of the row cache.
    pub discarded: Option<(Measured, Option<(u64, u64)>)>,
    pub kafka: Option<Measured>,
}

pub struct StateLine {
    pub title: &'static str,
    pub rows: u64,
    /// All of the first run: start, snapshot, indexes, every entity into Kafka.
    pub load: Duration,
    pub loaded: StateBytes,
    pub changes: u64,
    pub after: StateBytes,
}

#[derive(Debug)]
pub struct LatencyLine {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    /// Microseconds per transaction.
    pub cpu: f64,
    pub broker: f64,
}

/// What is put between which marks of docs/benchmarks.md.
const STREAMING: [&str; 2] = ["<!-- measured -->", "<!-- /measured -->"];
const JOINS: [&str; 2] = ["<!-- joins -->", "<!-- /joins -->"];

impl Report {
    pub fn new() -> Report {
        Report { load_before: load_average(), ..Report::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.streaming.is_empty()
    }

    pub fn case(
        &mut self,
        case: &Case,
        changes: u64,
        recv: Vec<Measured>,
        discarded: Option<Measured>,
        kafka: Option<Measured>,
        cache: Option<(u64, u64)>,
    ) {
        let rate = |m: &Measured| changes as f64 / m.wall.as_secs_f64();
        let per = |d: Duration| d.as_secs_f64() * 1e6 / changes as f64;
        let base = recv.iter().map(rate).sum::<f64>() / recv.len().max(1) as f64;
        let ratio = |m: &Measured| if recv.is_empty() { "".into() } else { format!("**{:.2}×**", rate(m) / base) };
        let mut line = |run: &str, m: &Measured, ratio: String, broker: bool| {
            let broker = if broker { format!("{:.1}", per(m.broker)) } else { String::new() };
            let _ = writeln!(
                self.streaming,
                "| {} | {run} | {:.0}k | {ratio} | {:.1} | {:.1} | {broker} | {:.0} |",
                case.title,
                rate(m) / 1000.0,
                per(m.walsender),
                per(m.reader),
                m.peak_kib as f64 / 1024.0
            );
        };
        for (m, which) in recv.iter().zip(["first", "last"]) {
            line(&format!("`pg_recvlogical`, {which}"), m, String::new(), false);
        }
        if let Some(m) = &discarded {
            let cache = match cache {
                Some((hits, misses)) if hits + misses > 0 => format!(" (row cache: {hits} hits, {misses} misses)"),
                _ => String::new(),
            };
            line(&format!("pgspine, discarded{cache}"), m, ratio(m), false);
        }
        if let Some(m) = &kafka {
            line("pgspine, Apache Kafka", m, ratio(m), true);
        }
    }

    pub fn load(&mut self, l: LoadLine) {
        let net = l.whole.saturating_sub(l.start).as_secs_f64().max(1e-6);
        let _ = writeln!(
            self.loads,
            "| {} | {} | {:.2} s | {:.2} s ({:.2} s of it the start) | **{:.2}×** | {:.1} | {} |",
            l.title,
            l.rows,
            l.copy.as_secs_f64(),
            l.whole.as_secs_f64(),
            l.start.as_secs_f64(),
            l.copy.as_secs_f64() / net,
            l.cpu.as_secs_f64() * 1e6 / l.rows as f64,
            l.peak_kib / 1024
        );
    }

    pub fn latency(&mut self, l: LatencyLine) {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let _ = writeln!(
            self.latency,
            "| **{:.1} ms** | **{:.1} ms** | {:.1} ms | {:.0} µs | {:.0} µs |",
            ms(l.p50),
            ms(l.p99),
            ms(l.max),
            l.cpu,
            l.broker
        );
    }

    pub fn join(&mut self, l: JoinLine) {
        let rate = |m: &Measured| l.changes as f64 / m.wall.as_secs_f64();
        let per = |d: Duration, count: u64| d.as_secs_f64() * 1e6 / count as f64;
        let base = l.recv.iter().map(rate).sum::<f64>() / l.recv.len().max(1) as f64;
        let mut line = |run: &str, m: &Measured, ours: bool, broker: bool| {
            let ratio = if ours && !l.recv.is_empty() { format!("**{:.2}×**", rate(m) / base) } else { String::new() };
            let entity = if ours { format!("{:.1}", per(m.reader, l.entities)) } else { String::new() };
            let broker = if broker { format!("{:.1}", per(m.broker, l.changes)) } else { String::new() };
            let _ = writeln!(
                self.joins,
                "| {} | {run} | {} | {ratio} | {:.1} | {:.1} | {entity} | {broker} | {:.0} |",
                l.title,
                count(rate(m)),
                per(m.walsender, l.changes),
                per(m.reader, l.changes),
                m.peak_kib as f64 / 1024.0
            );
        };
        for (m, which) in l.recv.iter().zip(["first", "last"]) {
            line(&format!("`pg_recvlogical`, {which}"), m, false, false);
        }
        if let Some((m, cache)) = &l.discarded {
            let cache = cache.map_or_else(String::new, |(h, m)| format!(" (row cache: {h} hits, {m} misses)"));
            line(&format!("pgspine, discarded{cache}"), m, true, false);
        }
        if let Some(m) = &l.kafka {
            line("pgspine, Apache Kafka", m, true, true);
        }
    }

    pub fn state(&mut self, l: StateLine) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let rows = |s: StateBytes| s.all.saturating_sub(s.journal);
        let _ = writeln!(
            self.states,
            "| {} | {} | {:.0} s | {:.0} + {:.0} | {:.0} | {} | {:.0} + {:.0} | {:.0} |",
            l.title,
            l.rows,
            l.load.as_secs_f64(),
            mib(rows(l.loaded)),
            mib(l.loaded.journal),
            rows(l.loaded) as f64 / l.rows as f64,
            l.changes,
            mib(rows(l.after)),
            mib(l.after.journal),
            rows(l.after) as f64 / l.rows as f64
        );
    }

    /// Where and how this was measured.
    fn head(&self) -> String {
        format!(
            "{}, {}; load average before {}, after {}. `make bench{}`.\n",
            output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            machine(),
            self.load_before,
            load_average(),
            arguments()
        )
    }

    fn joins_text(&self) -> String {
        let mut out = String::new();
        if !self.joins.is_empty() {
            out += "\nJoins; CPU in µs per source change, and per entity that the changes concern; peak memory in MiB under `memory = \"256MiB\"`.\n\n\
                    | case | run | changes/s | × | walsender | reader | per entity | broker | MiB |\n|---|---|---|---|---|---|---|---|---|\n";
            out += &self.joins;
        }
        if !self.states.is_empty() {
            out += "\nState on disk in MiB, rows with indexes + the store's journal; bytes per row without the journal.\n\n\
                    | case | rows | first run | on disk | bytes/row | then changes | on disk | bytes/row |\n|---|---|---|---|---|---|---|---|\n";
            out += &self.states;
        }
        out
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.streaming.is_empty() {
            out += "\nStreaming; CPU in µs per change, peak memory in MiB; × is against the mean of the two `pg_recvlogical` runs.\n\n\
                    | case | run | changes/s | × | walsender | reader | broker | MiB |\n|---|---|---|---|---|---|---|---|\n";
            out += &self.streaming;
        }
        if !self.loads.is_empty() {
            out += "\nFirst load; × is `COPY`'s time over ours without the start, CPU in µs per row, peak memory in MiB.\n\n\
                    | table | rows | `psql COPY` | pgspine, Apache Kafka | × | CPU | MiB |\n|---|---|---|---|---|---|---|\n";
            out += &self.loads;
        }
        if !self.latency.is_empty() {
            out += "\nCommit → visible at 1,000 transactions/s, `synchronous_commit = on`, default settings; CPU per transaction.\n\n\
                    | p50 | p99 | max | pgspine | broker |\n|---|---|---|---|---|\n";
            out += &self.latency;
        }
        out
    }

    pub fn print(&self) {
        println!("\n{}{}{}", self.head(), self.text(), self.joins_text());
    }

    /// What was measured takes the place of what was there.
    pub fn write(&self) {
        for (marks, text) in [(STREAMING, self.text()), (JOINS, self.joins_text())] {
            if !text.is_empty() {
                self.put(marks, &text);
            }
        }
    }

    /// Between the two marks of docs/benchmarks.md.
    fn put(&self, [begin_mark, end_mark]: [&str; 2], text: &str) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md");
        let old = std::fs::read_to_string(path).expect("docs/benchmarks.md");
        let (Some(begin), Some(end)) = (old.find(begin_mark), old.find(end_mark)) else {
            panic!("{path} has no {begin_mark} … {end_mark}")
        };
        let new = format!("{}\n{}{text}{}", &old[..begin + begin_mark.len()], self.head(), &old[end..]);
        std::fs::write(path, new).expect("docs/benchmarks.md");
    }
}

/// `12` or `34k`.
fn count(n: f64) -> String {
    if n < 10_000.0 { format!("{n:.0}") } else { format!("{:.0}k", n / 1000.0) }
}

fn output(command: &str, arguments: &[&str]) -> String {
    let done = Command::new(command).args(arguments).output();
    done.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches(['\t', ' ', ':']))
        .unwrap_or("?");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores ({model}), {} GiB, {}",
        kib.div_ceil(1 << 20),
        output("postgres", &["--version"]).replace("postgres (PostgreSQL)", "PostgreSQL")
    )
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn arguments() -> String {
    let given: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench" && a != "--write").collect();
    if given.is_empty() { String::new() } else { format!(" ARGS=\"{}\"", given.join(" ")) }
}
