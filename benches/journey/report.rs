//! Tables for people, on the terminal and in docs/benchmarks.md.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::case::Case;
use crate::measure::Measured;

#[derive(Default)]
pub struct Report {
    streaming: String,
    loads: String,
    latency: String,
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

#[derive(Debug)]
pub struct LatencyLine {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    /// Microseconds per transaction.
    pub cpu: f64,
    pub broker: f64,
}

const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";

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

    fn text(&self) -> String {
        let mut out = format!(
            "{}, {}; load average before {}, after {}. `make bench{}`.\n",
            output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            machine(),
            self.load_before,
            load_average(),
            arguments()
        );
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
        println!("\n{}", self.text());
    }

    /// Between the two marks of docs/benchmarks.md.
    pub fn write(&self) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md");
        let old = std::fs::read_to_string(path).unwrap_or_else(|_| format!("{BEGIN}\n{END}\n"));
        let (Some(begin), Some(end)) = (old.find(BEGIN), old.find(END)) else {
            panic!("{path} has no {BEGIN} … {END}")
        };
        let new = format!("{}\n{}{}", &old[..begin + BEGIN.len()], self.text(), &old[end..]);
        std::fs::write(path, new).expect("docs/benchmarks.md");
    }
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
