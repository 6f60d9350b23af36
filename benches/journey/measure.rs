//! Wall clock, CPU and memory of a process that reads a slot, of its walsender and of the broker.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::source::Database;

#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub wall: Duration,
    pub reader: Duration,
    pub walsender: Duration,
    pub broker: Duration,
    /// By thread name.
    pub threads: BTreeMap<String, Duration>,
    pub peak_kib: u64,
}

/// How often /proc is looked at.
const STEP: Duration = Duration::from_millis(4);

/// From the moment at which the slot is taken until the process ends.
pub fn until_it_ends(child: &mut Child, database: &mut Database, slot: &str) -> Measured {
    let pid = child.id();
    let limit = Instant::now() + Duration::from_secs(300);
    let walsender = loop {
        if let Some(pid) = database.slot_pid(slot) {
            break pid;
        }
        assert!(child.try_wait().expect("it can be waited for").is_none(), "it ended before it took the slot {slot}");
        assert!(Instant::now() < limit, "slot {slot} was not taken");
        nap();
    };
    let broker = broker();
    let begun = Instant::now();
    let (threads, sender, kafka) = (threads(pid), spent(walsender), broker.map_or(Duration::ZERO, cpu));
    let mut m = Measured::default();
    loop {
        let now = self::threads(pid);
        if !now.is_empty() {
            for (name, spent) in &now {
                m.threads.insert(name.clone(), spent.saturating_sub(threads.get(name).copied().unwrap_or_default()));
            }
            m.reader = m.threads.values().sum();
            m.peak_kib = peak(pid).max(m.peak_kib);
        }
        m.walsender = m.walsender.max(spent(walsender).saturating_sub(sender));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            assert!(status.success(), "it ended with {status}");
            m.wall = begun.elapsed();
            m.broker = broker.map_or(Duration::ZERO, cpu).saturating_sub(kafka);
            return m;
        }
        assert!(Instant::now() < limit, "{pid} did not end");
        nap();
    }
}

fn nap() {
    #[allow(clippy::disallowed_methods, reason = "nothing tells when another process has used CPU")]
    std::thread::sleep(STEP);
}

/// Of a process whose threads all live still, precisely.
fn spent(pid: u32) -> Duration {
    threads(pid).values().sum()
}

/// User and system time of a whole process; zero when it is gone.
pub fn cpu(pid: u32) -> Duration {
    stat(&format!("/proc/{pid}/stat")).unwrap_or_default()
}

fn stat(path: &str) -> Option<Duration> {
    let text = std::fs::read_to_string(path).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // SAFETY: sysconf takes a number.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as u64;
    Some(Duration::from_micros(ticks * 1_000_000 / per_second))
}

/// CPU by thread name, in the kernel's nanoseconds.
pub fn threads(pid: u32) -> BTreeMap<String, Duration> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        *all.entry(read("comm").trim().to_owned()).or_default() += Duration::from_nanos(nanos);
    }
    all
}

pub fn peak(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}

/// The pid of the broker that dev/services started.
pub fn broker() -> Option<u32> {
    let folder = std::env::var("PGSPINE_TEST_SERVICES").ok()?;
    let text = std::fs::read_to_string(format!("{folder}/services.json")).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    json.get("kafka")?.get("pid")?.as_u64().map(|p| p as u32)
}
