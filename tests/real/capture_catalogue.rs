//! Catalogue, publication, loads and the watch, against a real server and compared with an independent client.

use std::time::Duration;

use pgspine::capture::publication::{self, Columns, Facts, Mode, WantedTable};
use pgspine::capture::snapshot::{Limits, LoadError, LoadTable, Loader};
use pgspine::capture::watch::{self, Consequence, Fingerprints};
use pgspine::capture::{self, Connection, Options, catalogue, preflight, schema_sql, setup};
use pgspine::catalogue::{Catalogue, QualifiedName, Type, always_quote_ident, quote_literal};
use pgspine::diagnostic::Diagnostic;
use postgres::{Client, NoTls};

/// A database of its own, dropped at the end.
struct Db {
    server: String,
    name: String,
}

fn server() -> String {
    std::env::var("PGSPINE_TEST_POSTGRES").expect("PGSPINE_TEST_POSTGRES is not set: `make test` sets it")
}

impl Db {
    fn new(theme: &str, ddl: &str) -> Db {
        let name = format!("cat_{theme}_{}_{}", std::process::id(), fastrand::u32(..));
        let db = Db { server: server(), name };
        db.admin(&format!("CREATE DATABASE {}", db.name));
        db.client().batch_execute(ddl).unwrap();
        db
    }
    fn admin(&self, sql: &str) {
        Client::connect(&self.server, NoTls).unwrap().batch_execute(sql).unwrap();
    }
    /// The independent client.
    fn client(&self) -> Client {
        Client::connect(&format!("{} dbname={}", self.server, self.name), NoTls).unwrap()
    }
    fn options(&self) -> Options {
        Options::parse(&format!("{} dbname={} sslmode=disable", self.server, self.name)).unwrap()
    }
    fn connect(&self) -> Connection {
        capture::connect(&self.options(), capture::Mode::Sql).unwrap()
    }
    fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }
    fn catalogue(&self, tables: &[(&str, &str)]) -> Catalogue {
        let wanted: Vec<catalogue::Wanted> =
            tables.iter().map(|(s, t)| (Some((*s).to_owned()), (*t).to_owned())).collect();
        catalogue::read(&mut self.connect(), &wanted, &["public".to_owned()]).unwrap()
    }
    fn wanted(&self, tables: &[(&str, &str, &[&str])]) -> Vec<WantedTable> {
        let names: Vec<(&str, &str)> = tables.iter().map(|(s, t, _)| (*s, *t)).collect();
        let catalogue = self.catalogue(&names);
        let names: Vec<_> = tables
            .iter()
            .map(|(s, t, c)| (QualifiedName::new(*s, *t), c.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()))
            .collect();
        publication::wanted_tables(&catalogue, names.iter().map(|(n, c)| (n, c.clone())))
    }
    fn plan(&self, mode: Mode, columns: Columns, wanted: &[WantedTable]) -> publication::Plan {
        let facts = Facts::read(&mut self.connect(), "pub", wanted).unwrap();
        publication::plan(mode, columns, "pub", wanted, &facts)
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.admin(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn codes(findings: &[Diagnostic]) -> Vec<u16> {
    findings.iter().map(|f| f.code.0).collect()
}

const NASTY_SCHEMA: &str = r#"
CREATE SCHEMA shop; CREATE SCHEMA other; CREATE SCHEMA "Odd.Name";
CREATE TYPE shop.status AS ENUM ('new', 'gone'); ALTER TYPE shop.status ADD VALUE 'it''s' BEFORE 'gone';
CREATE TYPE other.status AS ENUM ('x');
CREATE DOMAIN shop.money1 AS numeric(10,2) NOT NULL; CREATE DOMAIN shop.money2 AS shop.money1;
CREATE DOMAIN shop.codes AS varchar(7)[];
CREATE TYPE shop.addr AS (street text COLLATE "C", zip varchar(5), price shop.money2, "order" int);
CREATE TYPE shop.span AS RANGE (subtype = float8);
CREATE COLLATION shop.ci (provider = icu, locale = 'und', deterministic = false);
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TABLE shop."order" (
  id bigint, dropped int, "Name" text, "nAME" varchar(12) NOT NULL, s shop.status, o other.status, m shop.money2,
  labels shop.status[], codes shop.codes, a shop.addr, addrs shop.addr[], prices shop.money1[],
  c text COLLATE "C", ci text COLLATE shop.ci, n name, ct citext, h hstore, sp shop.span,
  bits bit(3), vb bit varying(9), ch char(4), one "char", bx box[], iv interval day to second(3), iv2 interval(2),
  iv3 interval year, ts timestamp(3), tz timestamptz, tm time(0), ttz timetz(4), nn numeric, n2 numeric(5,-2),
  n3 numeric(3,5), arr int[], ip inet, js json, jb jsonb, u uuid, by bytea, r4 real, r8 float8, d date, x xml, mo money,
  vec int2vector, o1 oid, b boolean, i2 smallint, txt text[] COLLATE "C", bp bpchar,
  g int GENERATED ALWAYS AS (1) STORED,
  "select" int, PRIMARY KEY ("select", id), CHECK (i2 IN (1, 2)), CONSTRAINT "odd check" CHECK ("Name" <> 'x''y'),
  CONSTRAINT twice UNIQUE (id) DEFERRABLE
);
ALTER TABLE shop."order" DROP COLUMN dropped;
ALTER TABLE shop."order" ADD CONSTRAINT late CHECK (r8 > 0) NOT VALID;
CREATE UNIQUE INDEX by_name ON shop."order" ("nAME") INCLUDE (id);
CREATE UNIQUE INDEX partial ON shop."order" (i2) WHERE b;
CREATE INDEX plain ON shop."order" (d, u);
CREATE INDEX expression ON shop."order" (lower("Name"));
ALTER TABLE shop."order" REPLICA IDENTITY USING INDEX by_name;
COMMENT ON TABLE shop."order" IS E'it''s\nan \\ order'; COMMENT ON COLUMN shop."order"."Name" IS 'the name';
CREATE TABLE "Odd.Name".parts (id int PRIMARY KEY, v text) PARTITION BY LIST (id);
CREATE TABLE "Odd.Name".p1 PARTITION OF "Odd.Name".parts FOR VALUES IN (1);
CREATE TABLE "Odd.Name".rest PARTITION OF "Odd.Name".parts DEFAULT PARTITION BY RANGE (id);
CREATE TABLE "Odd.Name".p2 PARTITION OF "Odd.Name".rest FOR VALUES FROM (10) TO (20);
ALTER TABLE "Odd.Name".p2 REPLICA IDENTITY FULL;
CREATE TABLE plain (id int);
CREATE VIEW a_view AS SELECT 1 AS one, 'x'::varchar(3) AS two;
CREATE FUNCTION public.upper(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
"#;

const NASTY_TABLES: &[(&str, &str)] =
    &[("shop", "order"), ("Odd.Name", "parts"), ("public", "plain"), ("public", "a_view"), ("public", "nope")];

#[test]
fn the_catalogue_says_what_the_server_says() {
    let db = Db::new("read", NASTY_SCHEMA);
    let catalogue = db.catalogue(NASTY_TABLES);
    assert_eq!(catalogue.tables.len(), 4);
    let t = catalogue.table(Some("shop"), "order").unwrap();
    let column = |name: &str| t.column(name).unwrap();
    let ty = |name: &str| column(name).ty.ty.clone();
    assert!(t.column("dropped").is_none() && column("g").generated && column("nAME").not_null);
    let (Type::Enum(s), Type::Enum(o)) = (ty("s"), ty("o")) else { panic!("enums") };
    assert_eq!(s.labels, ["new", "it's", "gone"]);
    assert_eq!((o.name.to_string(), o.labels.as_slice()), ("other.status".into(), ["x".to_owned()].as_slice()));
    let m = column("m");
    assert_eq!((&m.ty.ty, m.not_null), (&Type::Numeric, true));
    assert_eq!((m.ty.typmod, m.ty.domain.as_ref().unwrap().to_string()), (((10 << 16) | 2) + 4, "shop.money2".into()));
    assert!(matches!(ty("codes"), Type::Array(e) if *e == Type::Varchar));
    assert_eq!(column("codes").ty.typmod, 11);
    assert!(matches!(ty("bx"), Type::Other(_)) && matches!(ty("vec"), Type::Other(_)));
    assert_eq!((ty("ct"), ty("one"), ty("n")), (Type::Citext, Type::Char, Type::Name));
    let Type::Composite(a) = ty("a") else { panic!("composite") };
    assert_eq!(a.fields[0].1.collation.as_deref(), Some("C"));
    assert_eq!(a.fields[2].1.domain.as_ref().unwrap().name, "money2");
    assert_eq!(column("c").ty.collation.as_deref(), Some("C"));
    assert_eq!(column("ci").ty.collation.as_deref(), Some("shop.ci"));
    assert_eq!((&column("n").ty.collation, &column("Name").ty.collation), (&None, &None));
    assert_eq!(t.identity_columns().unwrap(), ["nAME"]);
    assert_eq!(t.checks.len(), 3, "{:?}", t.checks);
    let key = t.indexes.iter().find(|i| i.primary).unwrap();
    assert_eq!(key.columns, ["select", "id"]);
    let p = catalogue.table(Some("Odd.Name"), "parts").unwrap();
    assert_eq!(p.leaves.iter().map(|l| l.name.name.as_str()).collect::<Vec<_>>(), ["p1", "p2"]);
    // citext's own overloads of built-in functions are among them too.
    assert!(catalogue.user_functions.contains(&QualifiedName::new("public", "upper")));
    assert!(catalogue.user_functions.contains(&QualifiedName::new("public", "strpos")));
    assert!(catalogue.table(None, "plain").is_some() && catalogue.table(None, "order").is_none());
}

/// Oids and attnums differ between two databases; everything else must not.
fn without_oids(catalogue: &Catalogue) -> String {
    let mut text = format!("{:#?}", {
        let mut c = catalogue.clone();
        c.tables.sort_by(|a, b| a.name.cmp(&b.name));
        for t in &mut c.tables {
            t.indexes.retain(|i| !i.columns.is_empty());
            t.columns.iter_mut().for_each(|c| c.attnum = 0);
        }
        c
    });
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("oid: ")).collect();
    text = lines.join("\n");
    text
}

#[test]
fn a_schema_snapshot_read_again_is_the_same_catalogue() {
    let db = Db::new("snap", NASTY_SCHEMA);
    let catalogue = db.catalogue(NASTY_TABLES);
    let sql = schema_sql::write(&catalogue);
    assert!(sql.starts_with("-- pgspine server=1"), "{sql}");
    let copy = Db::new("snap2", "");
    if let Err(e) = copy.client().batch_execute(&sql) {
        panic!("{e:?}\n{sql}");
    }
    let again = copy.catalogue(NASTY_TABLES);
    let (one, two) = (without_oids(&catalogue), without_oids(&again));
    for (a, b) in one.lines().zip(two.lines()) {
        assert_eq!(a, b, "\n{sql}");
    }
    assert_eq!(one.len(), two.len());
    assert_eq!(schema_sql::write(&again), sql, "written twice, it is the same text");

    // Our own reader understands it as PostgreSQL does.
    let mut read = pgspine::transform::parse::schema::read(&sql).unwrap_or_else(|e| panic!("{e:?}\n{sql}"));
    read.search_path.clone_from(&catalogue.search_path);
    let sorted = |catalogue: &pgspine::catalogue::Catalogue| {
        let mut c = catalogue.clone();
        for t in &mut c.tables {
            t.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            t.checks.sort_by(|a, b| a.name.cmp(&b.name));
        }
        c.user_functions.sort();
        without_oids(&c)
    };
    let (one, two) = (sorted(&catalogue), sorted(&read));
    for (i, (a, b)) in one.lines().zip(two.lines()).enumerate() {
        let near: Vec<&str> = one.lines().skip(i.saturating_sub(12)).take(14).collect();
        assert_eq!(a, b, "\n{}\n{sql}", near.join("\n"));
    }
    assert_eq!(one.len(), two.len());
    assert_eq!(schema_sql::write(&read), sql, "read and written, it is the same text");
}

#[test]
fn the_case_map_answers_as_the_server() {
    let db = Db::new("case", "");
    let map = catalogue::case_map(&mut db.connect()).unwrap().expect("libc maps by code point");
    assert!(map.upper.len() > 1000 && map.lower.len() > 1000 && map.alphanumeric.len() > 100);
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let one = |pairs: &[(char, char)], c: char| pairs.binary_search_by_key(&c, |p| p.0).map_or(c, |i| pairs[i].1);
    let in_word = |c: char| {
        let after = map.alphanumeric.partition_point(|(first, _)| *first <= c);
        after > 0 && map.alphanumeric[after - 1].1 >= c
    };
    let mut client = db.client();
    for _ in 0..600 {
        let ceiling = *random.choice(&[0x7f, 0x24f, 0x600, 0xffff, 0x10ffff]).unwrap();
        let text: String = (0..random.usize(0..24))
            .filter_map(|_| if random.u8(..) < 60 { Some(' ') } else { char::from_u32(random.u32(1..=ceiling)) })
            .collect();
        let mut before = false;
        let initcap: String = text
            .chars()
            .map(|c| {
                let mapped = if before { one(&map.lower, c) } else { one(&map.upper, c) };
                before = in_word(mapped);
                mapped
            })
            .collect();
        let row = client.query_one("SELECT upper($1::text), lower($1::text), initcap($1::text)", &[&text]).unwrap();
        assert_eq!(text.chars().map(|c| one(&map.upper, c)).collect::<String>(), row.get::<_, String>(0), "{text:?}");
        assert_eq!(text.chars().map(|c| one(&map.lower, c)).collect::<String>(), row.get::<_, String>(1), "{text:?}");
        assert_eq!(initcap, row.get::<_, String>(2), "{text:?}");
    }
}

const TABLES: &str = "CREATE SCHEMA s;
    CREATE TABLE s.a (id int PRIMARY KEY, v text, w text); CREATE TABLE s.b (id int PRIMARY KEY, v text);
    CREATE TABLE s.nokey (id int); CREATE TABLE s.full_ (id int, v text); ALTER TABLE s.full_ REPLICA IDENTITY FULL;
    CREATE TABLE s.part (id int PRIMARY KEY) PARTITION BY LIST (id);
    CREATE TABLE s.part1 PARTITION OF s.part FOR VALUES IN (1); CREATE TABLE s.part2 PARTITION OF s.part FOR VALUES IN (2);
    CREATE UNLOGGED TABLE s.unlogged (id int PRIMARY KEY);";

#[test]
fn a_managed_publication_is_made_and_kept() {
    let db = Db::new("manage", TABLES);
    let mut conn = db.connect();
    let a = &["id", "v"][..];
    let first = db.wanted(&[("s", "a", &["v"]), ("s", "part", &["id"])]);
    let plan = db.plan(Mode::Manage, Columns::All, &first);
    assert_eq!(plan.findings, []);
    assert!(publication::apply(&mut conn, &plan).unwrap());
    assert!(!publication::apply(&mut conn, &db.plan(Mode::Manage, Columns::All, &first)).unwrap(), "nothing left");
    assert_eq!(db.plan(Mode::Verify, Columns::All, &first).findings, []);

    // Other tables, and lists: the identity is added to them.
    let second = db.wanted(&[("s", "a", &["v"]), ("s", "b", a)]);
    let plan = db.plan(Mode::Manage, Columns::Used, &second);
    assert!(publication::apply(&mut conn, &plan).unwrap());
    let rows = db
        .client()
        .query("SELECT tablename, attnames::text FROM pg_publication_tables WHERE pubname = 'pub' ORDER BY 1", &[])
        .unwrap();
    let got: Vec<(String, String)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    assert_eq!(got, [("a".to_owned(), "{id,v}".to_owned()), ("b".to_owned(), "{id,v}".to_owned())]);
    assert!(db.plan(Mode::Manage, Columns::Used, &second).statements().is_empty());
    let more = db.wanted(&[("s", "a", &["w"])]);
    assert_eq!(codes(&db.plan(Mode::Verify, Columns::Used, &more).findings), [4058]);

    // What somebody else changed is put right.
    db.run(
        "ALTER PUBLICATION pub SET (publish = 'insert', publish_via_partition_root = true);
            ALTER PUBLICATION pub SET TABLE s.a WHERE (id > 3), s.part",
    );
    assert!(codes(&db.plan(Mode::Verify, Columns::All, &first).findings).starts_with(&[4056, 4062]));
    publication::apply(&mut conn, &db.plan(Mode::Manage, Columns::All, &first)).unwrap();
    assert_eq!(db.plan(Mode::Verify, Columns::All, &first).findings, []);
}

#[test]
fn what_would_break_the_application_is_refused_before() {
    let db = Db::new("refuse", TABLES);
    let check = |columns, table: (&str, &str, &[&str]), expected: &[u16]| {
        let plan = db.plan(Mode::Manage, columns, &db.wanted(&[table]));
        assert_eq!(codes(&plan.findings), expected, "{table:?}");
        assert!(plan.statements().is_empty() || expected.is_empty());
    };
    check(Columns::All, ("s", "nokey", &["id"]), &[4059]);
    check(Columns::All, ("s", "full_", &["id"]), &[]);
    check(Columns::Used, ("s", "full_", &["id"]), &[4061]);
    check(Columns::Used, ("s", "part", &["id"]), &[4067]);
    check(Columns::All, ("s", "unlogged", &["id"]), &[4064]);
    db.run("ALTER TABLE s.part2 REPLICA IDENTITY NOTHING");
    check(Columns::All, ("s", "part", &["id"]), &[4059]);
    db.run("ALTER TABLE s.b DROP CONSTRAINT b_pkey; ALTER TABLE s.b ADD PRIMARY KEY (id) DEFERRABLE");
    check(Columns::All, ("s", "b", &["id"]), &[4059]);
    db.run("CREATE PUBLICATION pub FOR ALL TABLES");
    check(Columns::All, ("s", "a", &["id"]), &[4055]);
    db.run("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR TABLES IN SCHEMA s");
    check(Columns::All, ("s", "a", &["id"]), &[4055]);
    let a = db.wanted(&[("s", "a", &["id"])]);
    assert_eq!(db.plan(Mode::Verify, Columns::All, &a).findings, []);
    db.run("DROP PUBLICATION pub");
    assert_eq!(codes(&db.plan(Mode::Verify, Columns::All, &a).findings), [4054]);
    db.run("CREATE PUBLICATION pub FOR TABLE s.a (v), s.full_ (id), s.b");
    assert_eq!(codes(&db.plan(Mode::Verify, Columns::Used, &a).findings), [4058, 4060]);
    let full = db.wanted(&[("s", "full_", &["id"]), ("s", "part", &["id"])]);
    assert_eq!(codes(&db.plan(Mode::Verify, Columns::Used, &full).findings), [4059, 4061, 4057, 4057]);
}

#[test]
fn setup_runs_as_printed_and_then_an_ordinary_role_passes_every_check() {
    let db = Db::new("setup", TABLES);
    let role = format!("role {}", db.name);
    let wanted = db.wanted(&[("s", "a", &["id", "v"]), ("s", "part", &["id"])]);
    let facts = Facts::read(&mut db.connect(), "pub", &wanted).unwrap();
    let plan = publication::changes(Columns::All, "pub", &wanted, &facts);
    let sql = setup::sql(&setup::Setup {
        role: &role,
        database: &db.name,
        publication: "pub",
        tables: &wanted,
        publication_statements: plan.statements(),
    });
    // psql itself, stopping at the first error.
    let uri = format!("{} dbname={}", db.server, db.name);
    let mut psql = std::process::Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &uri, "-f", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), sql.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success(), "{sql}");

    let mut options = db.options();
    options.user = role.clone();
    let mut conn = capture::connect(&options, capture::Mode::Sql).unwrap();
    let mut wish = preflight::Wish {
        slot: "no_such_slot",
        publication: "pub",
        publication_mode: Mode::Verify,
        publication_columns: Columns::All,
        tables: &wanted,
    };
    assert_eq!(preflight::check(&mut conn, &wish).unwrap(), []);
    let load = tables_of(&wanted);
    let mut loader = Loader::begin(&options, load, Limits::default(), nothing, &mut |_| {}).unwrap();
    let table = loader.tables()[0].clone();
    loader.copy::<LoadError>(&table, &mut |_| Ok(())).unwrap();
    loader.finish().unwrap();

    // The same role, asked for more than it was given.
    let more = db.wanted(&[("s", "a", &["id", "w"]), ("s", "b", &["v"])]);
    wish.tables = &more;
    assert_eq!(codes(&preflight::check(&mut conn, &wish).unwrap()), [4052, 4052, 4057]);
    wish.publication_mode = Mode::Manage;
    let managed = preflight::check(&mut conn, &wish).unwrap();
    assert!(codes(&managed).contains(&4065), "{managed:?}");
    db.run(&format!(
        "ALTER ROLE {0} NOREPLICATION; ALTER TABLE s.a ENABLE ROW LEVEL SECURITY",
        always_quote_ident(&role)
    ));
    let wanted_as_role = {
        let catalogue = catalogue::read(&mut conn, &[(Some("s".into()), "a".into())], &["public".to_owned()]).unwrap();
        let name = QualifiedName::new("s", "a");
        publication::wanted_tables(&catalogue, [(&name, vec!["id".to_owned()])])
    };
    wish.publication_mode = Mode::Verify;
    wish.tables = &wanted_as_role;
    assert_eq!(codes(&preflight::check(&mut conn, &wish).unwrap()), [4006, 4053]);
    drop(conn);
    db.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", always_quote_ident(&role)));
}

fn nothing(_: &mut Connection) -> Result<(), std::io::Error> {
    Ok(())
}

fn tables_of(wanted: &[WantedTable]) -> Vec<LoadTable> {
    let table = |w: &WantedTable| LoadTable {
        oid: w.oid,
        name: w.name.clone(),
        columns: w.columns.clone(),
        partitioned: w.name.name == "part",
    };
    wanted.iter().map(table).collect()
}

#[test]
fn copied_rows_are_the_servers_own_bytes() {
    let db = Db::new("copy", "CREATE TABLE t (id int PRIMARY KEY, v text, j jsonb, b bytea, a text[])");
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("PGSPINE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = db.client();
    let pieces =
        ["\\", "\\N", "\t", "\n", "\r", "\x08", "\x0c", "\x0b", "\\.", "é", "'", "\"", "a", "\\t", "😀", "", "\x7f"];
    let mut rows = Vec::new();
    for id in 0..2000_i32 {
        let text: Option<String> =
            (random.u8(..) > 20).then(|| (0..random.usize(0..12)).map(|_| *random.choice(&pieces).unwrap()).collect());
        let array = text.clone().map(|t| vec![Some(t), None]);
        let bytes = text.as_ref().map(|t| t.as_bytes().to_vec());
        client
            .execute("INSERT INTO t VALUES ($1, $2, to_jsonb($2::text), $3, $4)", &[&id, &text, &bytes, &array])
            .unwrap();
    }
    for row in client.query("SELECT id::text, v, j::text, b::text, a::text FROM t", &[]).unwrap() {
        rows.push((0..5).map(|i| row.get::<_, Option<String>>(i)).collect::<Vec<_>>());
    }
    let columns = ["id", "v", "j", "b", "a"].map(str::to_owned).to_vec();
    let table = LoadTable { oid: 0, name: QualifiedName::new("public", "t"), columns, partitioned: false };
    let mut loader =
        Loader::begin(&db.options(), vec![table.clone()], Limits::default(), nothing, &mut |_| {}).unwrap();
    let mut got = Vec::new();
    let count = loader
        .copy::<LoadError>(&table, &mut |row| {
            got.push(row.iter().map(|c| c.map(|b| String::from_utf8(b.to_vec()).unwrap())).collect::<Vec<_>>());
            Ok(())
        })
        .unwrap();
    loader.finish().unwrap();
    got.sort();
    rows.sort();
    assert_eq!((count, got), (2000, rows));
}

#[test]
fn a_load_locks_before_its_snapshot_and_leaves_nothing_open() {
    let db = Db::new("load", TABLES);
    db.run("INSERT INTO s.a SELECT i, i::text FROM generate_series(1, 1000) AS i; INSERT INTO s.part VALUES (1), (2); ANALYZE s.a");
    let wanted = db.wanted(&[("s", "a", &["id", "v"]), ("s", "part", &["id"])]);
    let plan = db.plan(Mode::Manage, Columns::All, &wanted);
    // An older transaction that has written: the load waits for it, and says for whom.
    let mut older = db.client();
    older.batch_execute("BEGIN; INSERT INTO s.a VALUES (5000, 'older')").unwrap();
    let pid: i32 = older.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut seen = Vec::new();
    let mut loader = Loader::begin(
        &db.options(),
        tables_of(&wanted),
        Limits::default(),
        |conn| publication::apply(conn, &plan).map(|_| ()),
        &mut |blockers| {
            seen.extend(blockers.iter().filter_map(|b| b.pid));
            if seen.contains(&(pid as u32)) {
                let _ = older.batch_execute("COMMIT");
            }
        },
    )
    .unwrap();
    assert!(seen.contains(&(pid as u32)));
    assert!(loader.consistent_point().0 > 0);

    // Nobody can rewrite or empty the table now, and later rows are not in the snapshot.
    for ddl in ["ALTER TABLE s.a ALTER w TYPE varchar(9)", "TRUNCATE s.a", "DROP TABLE s.part1"] {
        let refused = db.client().batch_execute(&format!("SET lock_timeout = 50; {ddl}")).unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "55P03", "{ddl}");
    }
    db.run("INSERT INTO s.a VALUES (6000, 'later')");
    let mut keys = Vec::new();
    for table in loader.tables().to_vec() {
        loader
            .copy::<LoadError>(&table, &mut |row| {
                keys.push(String::from_utf8(row[0].unwrap().to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(keys.len(), 1001 + 2);
    assert!(keys.contains(&"5000".to_owned()) && !keys.contains(&"6000".to_owned()));
    assert_eq!(loader.estimated_rows(wanted[0].oid).unwrap(), Some(1000));
    drop(loader);
    let mut client = db.client();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND application_name LIKE 'pgspine%'";
    let slots = format!("SELECT count(*) FROM pg_replication_slots WHERE database = {}", quote_literal(&db.name));
    for question in [left, &slots] {
        let mut tries = 0;
        while client.query_one(question, &[]).unwrap().get::<_, i64>(0) > 0 {
            tries += 1;
            assert!(tries < 200, "{question}");
            client.query("SELECT pg_sleep(0.05)", &[]).unwrap();
        }
    }
    // An error of the one who takes the rows ends it as well.
    let mut loader = Loader::begin(&db.options(), tables_of(&wanted), Limits::default(), nothing, &mut |_| {}).unwrap();
    let table = loader.tables()[0].clone();
    let stop = || LoadError::OlderTransactions { waited: Duration::ZERO };
    assert!(matches!(loader.copy(&table, &mut |_| Err(stop())), Err(LoadError::OlderTransactions { .. })));
}

#[test]
fn every_silent_way_to_go_blind_is_found() {
    let ddl = "CREATE SCHEMA s; CREATE TYPE s.e AS ENUM ('x', 'y');
        CREATE TABLE s.a (id int PRIMARY KEY, v text, e s.e); CREATE TABLE s.b (id int PRIMARY KEY, v text);
        CREATE TABLE s.part (id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE s.part1 PARTITION OF s.part FOR VALUES IN (1); CREATE TABLE s.part2 PARTITION OF s.part FOR VALUES IN (2);
        CREATE TABLE s.loose (id int PRIMARY KEY);
        CREATE PUBLICATION pub FOR TABLE s.a (id, v, e), s.b, s.part";
    let table = |name: &str, columns: &[&str]| {
        (QualifiedName::new("s", name), columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())
    };
    let tables = [table("a", &["id", "v", "e"]), table("b", &["id"]), table("part", &["id"])];
    let check = |change: &str, expected: &[(Option<&str>, u16, u8)]| {
        let db = Db::new("blind", ddl);
        let mut conn = db.connect();
        let old = watch::read(&mut conn, "pub", &tables).unwrap();
        let same = watch::read(&mut conn, "pub", &tables).unwrap();
        assert_eq!(watch::compare(&old, &same), [], "nothing happened");
        db.run(change);
        let new = watch::read(&mut conn, "pub", &tables).unwrap();
        // What is kept on disk is as good as what is in memory.
        let kept: Fingerprints = serde_json::from_str(&serde_json::to_string(&old).unwrap()).unwrap();
        assert_eq!(kept, old);
        let found: Vec<_> = watch::compare(&kept, &new)
            .into_iter()
            .map(|f| (f.table.map(|t| t.name), f.diagnostic.code.0, f.consequence.exit_code()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(t, c, e)| (t.map(str::to_owned), *c, *e)).collect();
        assert_eq!(found, expected, "{change}");
    };
    check("ALTER TABLE s.a DROP COLUMN v CASCADE", &[(Some("a"), 4073, 6), (Some("a"), 4074, 6)]);
    check("ALTER PUBLICATION pub DROP TABLE s.b; ALTER PUBLICATION pub ADD TABLE s.b", &[(Some("b"), 4073, 6)]);
    check("ALTER PUBLICATION pub DROP TABLE s.b", &[(Some("b"), 4073, 6)]);
    check("ALTER PUBLICATION pub SET TABLE s.a (id, v, e), s.b WHERE (id > 1), s.part", &[(Some("b"), 4073, 6)]);
    check(
        "DROP TABLE s.b; CREATE TABLE s.b (id int PRIMARY KEY, v text); ALTER PUBLICATION pub ADD TABLE s.b",
        &[(Some("b"), 4072, 6)],
    );
    check(
        "DROP PUBLICATION pub; CREATE PUBLICATION pub FOR TABLE s.a (id, v, e), s.b, s.part",
        &[(None, 4070, 5), (Some("a"), 4073, 6), (Some("b"), 4073, 6), (Some("part"), 4073, 6)],
    );
    check(
        "DROP PUBLICATION pub",
        &[(None, 4070, 5), (Some("a"), 4073, 6), (Some("b"), 4073, 6), (Some("part"), 4073, 6)],
    );
    check(
        "ALTER TABLE s.a RENAME TO tmp; ALTER TABLE s.b RENAME TO a; ALTER TABLE s.tmp RENAME TO b",
        &[(Some("a"), 4072, 6), (Some("b"), 4072, 6)],
    );
    check("ALTER PUBLICATION pub SET (publish_via_partition_root = true); TRUNCATE s.part1", &[(None, 4071, 5)]);
    check("ALTER PUBLICATION pub SET (publish = 'insert, update')", &[(None, 4071, 5)]);
    check("ALTER TABLE s.part ATTACH PARTITION s.loose FOR VALUES IN (3)", &[(Some("part"), 4075, 6)]);
    check("ALTER TABLE s.part DETACH PARTITION s.part1", &[(Some("part"), 4075, 6)]);
    check("ALTER TYPE s.e RENAME VALUE 'x' TO 'z'", &[(Some("a"), 4076, 6)]);
    check("ALTER TYPE s.e ADD VALUE 'between' BEFORE 'y'", &[]);
    check("ALTER TABLE s.b ALTER id TYPE bigint", &[(Some("b"), 4077, 6), (Some("b"), 4074, 6)]);
    check("ALTER TABLE s.b ALTER v TYPE varchar(3), ADD COLUMN later int DEFAULT 7", &[]);
    check("ALTER TABLE s.b REPLICA IDENTITY FULL", &[(Some("b"), 4077, 6)]);
    check("ALTER TABLE s.part1 REPLICA IDENTITY FULL", &[(Some("part"), 4077, 6)]);
    assert_eq!(Consequence::PublicationGap.exit_code(), 5);
}

#[test]
fn a_select_is_described_as_the_server_types_it() {
    let db = Db::new("describe", "");
    let described = preflight::describe(
        &mut db.connect(),
        "/* head; */ SELECT 1 AS a, 'x;--' AS b, 1.5::numeric(10,2) AS c, 'y'::varchar(3) AS \"D\" ; -- the end\n/* ; */",
    );
    // A comment behind the semicolon is part of the text that files hold.
    let described = described.unwrap();
    let got: Vec<_> = described.iter().map(|d| (d.name.as_str(), d.type_oid, d.typmod)).collect();
    assert_eq!(got, [("a", 23, -1), ("b", 25, -1), ("c", 1700, 655366), ("D", 1043, 7)]);
}
