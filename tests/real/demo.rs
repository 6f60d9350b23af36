//! The shipped project and the demo that runs it: it proves itself, again and again, and leaves nothing behind.

use crate::support::*;
use pgspine::capture::{self, Mode, connect, schema_sql};
use pgspine::config::Config;
use pgspine::runtime::project::{self, Project};
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[cfg(feature = "demo")]
mod runs {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    /// A load and a comparison, in a debug build on a busy machine.
    const LIMIT: Duration = Duration::from_secs(240);
    const TOPICS: [&str; 5] =
        ["shop.customer.v1", "shop.order.v1", "shop.order-event.v1", "shop.order-line.v1", "shop.product.v1"];

    /// The demo with a folder for temporary files of its own, which tells what is left.
    struct Demo {
        process: Process,
        folder: tempfile::TempDir,
    }

    impl Demo {
        fn start(duration: &str) -> Demo {
            let folder = tempfile::tempdir().expect("a folder");
            // The server runs as another user.
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
            let tmp = folder.path().join("tmp");
            std::fs::create_dir(&tmp).expect("a folder");
            let mut command = Command::new(env!("CARGO_BIN_EXE_pgspine"));
            command.args(["demo", "--duration", duration]).env("TMPDIR", &tmp).env_remove("PGSPINE_LOG");
            command.current_dir("/").stdin(Stdio::null());
            let process = Process::start(command, folder.path().join("log"));
            Demo { process, folder }
        }

        fn until(&mut self, text: &str) {
            let log = self.folder.path().join("log");
            let shown = || std::fs::read_to_string(&log).is_ok_and(|l| l.contains(text)).then_some(());
            self.process.until(text, LIMIT, shown);
        }

        /// Processes whose command names the folder: the server, and nobody else.
        fn servers(&self) -> Vec<u32> {
            let path = self.folder.path().join("tmp").to_string_lossy().into_owned();
            let names = |pid: &u32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                *pid != self.process.pid() && String::from_utf8_lossy(&line).contains(&path)
            };
            let all = std::fs::read_dir("/proc").expect("/proc").flatten();
            all.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(names).collect()
        }

        /// Its end: the exit code is 0 and nothing is left. Gives what it printed.
        fn ended(mut self) -> String {
            let code = self.process.code(LIMIT);
            let log = self.process.log();
            assert_eq!(code, 0, "{log}");
            assert_eq!(self.servers(), Vec::<u32>::new(), "{log}");
            let left: Vec<PathBuf> = files(&self.folder.path().join("tmp"));
            assert!(left.is_empty(), "{left:?}\n{log}");
            assert!(!log.contains('\x1b'), "no colours and no drawing where there is no terminal: {log}");
            log
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect()
    }

    fn assert_equal(log: &str) {
        for topic in TOPICS {
            let line = log.lines().find(|l| l.trim_start().starts_with(topic) && l.contains(" equal  "));
            let line = line.unwrap_or_else(|| panic!("{topic} is not shown as equal:\n{log}"));
            assert!(!line.contains(" 0 keys"), "{line}");
        }
    }

    #[test]
    fn it_proves_itself_and_leaves_nothing() {
        let log = Demo::start("3s").ended();
        assert_equal(&log);
        assert!(log.contains(" changes/s ") && log.contains(" lag "), "{log}");
    }

    #[test]
    fn an_interrupt_while_streaming_ends_with_the_comparison() {
        let mut demo = Demo::start("180s");
        demo.until("stream ");
        demo.process.signal(libc::SIGINT);
        let log = demo.ended();
        assert!(log.contains("interrupted: the workload has ended"), "{log}");
        assert_equal(&log);
    }

    #[test]
    fn an_interrupt_while_loading_ends_without() {
        let mut demo = Demo::start("180s");
        demo.until("load ");
        demo.process.signal(libc::SIGTERM);
        let log = demo.ended();
        assert!(log.contains("interrupted: nothing was compared"), "{log}");
    }

    #[test]
    fn the_server_does_not_outlive_a_killed_demo() {
        let mut demo = Demo::start("180s");
        demo.until("PostgreSQL ");
        assert!(!demo.servers().is_empty());
        demo.process.kill9();
        wait_for("the server to end", Duration::from_secs(20), || demo.servers().is_empty().then_some(()));
    }
}

#[cfg(not(feature = "demo"))]
#[test]
fn a_build_without_it_says_how_to_get_it() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgspine")).arg("demo").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--features demo"));
}

fn config() -> Config {
    Config::load_with(&Path::new(ROOT).join("pgspine.toml"), Default::default()).unwrap()
}

/// `schema.sql` is what dev/shop.sql makes; PGSPINE_BLESS=1 writes it anew.
#[test]
fn the_shipped_schema_is_that_of_the_shipped_tables() {
    let database = fresh_database("shop");
    database.client().batch_execute(&std::fs::read_to_string(Path::new(ROOT).join("dev/shop.sql")).unwrap()).unwrap();
    let files = project::files(&config()).unwrap();
    let mut conn = connect(&capture::Options::parse(&database.conninfo()).unwrap(), Mode::Sql).unwrap();
    let catalogue =
        capture::catalogue::read(&mut conn, &project::tables_named(&files), &["public".to_owned()]).unwrap();
    let now = schema_sql::write(&catalogue);
    let path: PathBuf = Path::new(ROOT).join("schema.sql");
    if std::env::var_os("PGSPINE_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    // The first line names the server's version and locale, which are this run's own.
    let body = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned());
    assert_eq!(body(&std::fs::read_to_string(&path).unwrap()), body(&now), "PGSPINE_BLESS=1 writes schema.sql anew");

    // psql -f runs each file: what it returns is what the topic must hold.
    for file in &files {
        assert!(!database.client().simple_query(&file.text).unwrap().is_empty(), "{}", file.name);
    }
}

#[test]
fn the_shipped_project_is_right_without_a_database() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("schema.sql")).unwrap();
    let catalogue = pgspine::transform::parse::schema::read(&text).unwrap();
    let config = config();
    let files = project::files(&config).unwrap();
    let project = Project::bind(&config, files, &catalogue).unwrap_or_else(|all| {
        panic!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    });
    assert_eq!(project.definitions.len(), 5);
    assert!(project.warnings.is_empty(), "{:?}", project.warnings);
}
