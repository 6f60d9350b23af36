//! Whether our SELECT is PostgreSQL's: the server makes the same view of a random one and of our print of it, and gives its
//! outputs the names that we give them.

use fastrand::Rng;
use pgspine::transform::parse;
use postgres::{Client, NoTls, SimpleQueryMessage};

const TABLES: &str = "CREATE TEMP TABLE t (id int PRIMARY KEY, a int, b int, s text, arr int[], j jsonb);
    CREATE TEMP TABLE u (id int PRIMARY KEY, t_id int, a int, b int, s text, arr int[], j jsonb);";

/// What the server makes of a SELECT: its view and the names of its outputs; or the SQLSTATE.
fn view(client: &mut Client, select: &str) -> Result<String, String> {
    let text = format!(
        "CREATE TEMP VIEW v AS {select};
        SELECT pg_get_viewdef('v'::regclass) || (SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'v'::regclass AND attnum > 0);
        DROP VIEW v"
    );
    match client.simple_query(&text) {
        Ok(messages) => messages
            .iter()
            .find_map(|m| match m {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .ok_or_else(|| "no answer".to_owned()),
        Err(e) => Err(e.code().map_or_else(|| e.to_string(), |c| c.code().to_owned())),
    }
}

/// Random SELECTs, with types that mostly fit and no parenthesis that the grammar does not ask for.
struct Selects<'r> {
    rng: &'r mut Rng,
    aliases: Vec<String>,
    next: u32,
}

impl Selects<'_> {
    fn one<'s>(&mut self, of: &[&'s str]) -> &'s str {
        of[self.rng.usize(..of.len())]
    }

    fn seldom(&mut self) -> bool {
        self.rng.u32(..4) == 0
    }

    fn column(&mut self, of: &[&str]) -> String {
        let column = self.one(of).to_owned();
        let alias = self.aliases[self.rng.usize(..self.aliases.len())].clone();
        if self.rng.u32(..20) == 0 { column } else { format!("{alias}.{column}") }
    }

    fn int(&mut self, depth: u32) -> String {
        let kinds = if depth == 0 { 4 } else { 14 };
        match self.rng.u32(..kinds) {
            0 | 1 => self.column(&["id", "a", "b"]),
            2 => self.one(&["1", "2", "-1", "0", "NULL"]).to_owned(),
            3 => format!("{}[{}]", self.column(&["arr"]), self.one(&["1", "2"])),
            4..=6 => {
                format!("{} {} {}", self.int(depth - 1), self.one(&["+", "-", "*", "/", "%"]), self.int(depth - 1))
            }
            7 => {
                let order = if self.seldom() { " ORDER BY 1 DESC LIMIT 1" } else { "" };
                let body = self.scoped(|s, from| format!("SELECT {} AS a FROM {from}", s.int(depth - 1)));
                if self.seldom() { format!("(({body}{order}))") } else { format!("({body}{order})") }
            }
            8 => {
                let aggregate = self.one(&["count", "max", "min"]).to_owned();
                let filter =
                    if self.seldom() { format!(" FILTER (WHERE {})", self.bool(depth - 1)) } else { String::new() };
                let distinct = self.one(&["", "DISTINCT ", "ALL "]).to_owned();
                self.scoped(|s, from| {
                    format!("(SELECT {aggregate}({distinct}{}){filter} FROM {from})", s.int(depth - 1))
                })
            }
            9 => format!("CASE WHEN {} THEN {} ELSE {} END", self.bool(depth - 1), self.int(0), self.int(depth - 1)),
            10 => format!("(ARRAY[{}, {}])[{}]", self.int(0), self.int(depth - 1), self.int(0)),
            11 => format!("(ARRAY[[{}], [{}]])[1][{}]", self.int(0), self.int(0), self.int(0)),
            12 => {
                let by = self.one(&["", " DESC", " NULLS FIRST", " ASC NULLS LAST"]).to_owned();
                let body = self.scoped(|s, from| {
                    format!("SELECT {} AS a FROM {from} ORDER BY {}{by}", s.int(0), s.one(&["a", "1", "1 + 1"]))
                });
                format!("cardinality(ARRAY({body}))")
            }
            _ => format!("- {}", self.int(depth - 1)),
        }
    }

    fn bool(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("{} {} {}", self.int(0), self.one(&["=", "<", "<>", ">="]), self.int(0));
        }
        let int = self.int(depth - 1);
        let not = if self.seldom() { "NOT " } else { "" };
        let quantifier = self.one(&["ANY", "SOME", "ALL"]).to_owned();
        match self.rng.u32(..13) {
            0 | 1 => format!("{} AND {}", self.bool(depth - 1), self.bool(depth - 1)),
            2 => format!("{} OR {}", self.bool(depth - 1), self.bool(depth - 1)),
            3 => format!("NOT {}", self.bool(depth - 1)),
            4 => self.scoped(|s, from| {
                let items = s.one(&["1", "", "1, 2", "count(*)"]).to_owned();
                format!("EXISTS (SELECT {items} FROM {from} WHERE {})", s.bool(depth - 1))
            }),
            5 => format!("{int} {not}IN {}", self.scoped(|s, from| format!("(SELECT {} FROM {from})", s.int(0)))),
            6 => {
                self.scoped(|s, from| format!("{int} = {} (SELECT {} FROM {from})", s.one(&["ANY", "SOME"]), s.int(0)))
            }
            7 => format!("{int} IN ({}, {})", self.int(0), self.int(0)),
            8 => format!("{int} {} {quantifier} ({})", self.one(&["=", "<", "<>"]), self.column(&["arr"])),
            9 => {
                let (text, like) = (self.column(&["s"]), self.column(&["s"]));
                format!("{text} {not}LIKE {quantifier} (ARRAY['a', {like}])")
            }
            10 => format!("({int}, 1) = ROW({}, {})", self.int(0), self.int(0)),
            11 => {
                let select = self.scoped(|s, from| format!("(SELECT {}, {} FROM {from})", s.int(0), s.int(0)));
                format!("({}, {int}) {not}IN {select}", self.int(0))
            }
            _ => format!("{int} IS {not}NULL"),
        }
    }

    /// A FROM of its own for a subquery.
    fn scoped(&mut self, make: impl FnOnce(&mut Self, &str) -> String) -> String {
        let before = self.aliases.len();
        let from = self.from(0);
        let text = make(self, &from);
        self.aliases.truncate(before);
        text
    }

    fn from(&mut self, joins: u32) -> String {
        let mut out = self.relation(&[]);
        for _ in 0..joins {
            let join = self.one(&["JOIN", "INNER JOIN", "LEFT JOIN", "LEFT OUTER JOIN"]).to_owned();
            let lateral = self.aliases.clone();
            out = format!("{out} {join} {}", self.relation(&lateral));
            out = format!("{out} ON {}", self.bool(1));
        }
        out
    }

    fn relation(&mut self, lateral: &[String]) -> String {
        self.next += 1;
        let alias = format!("{}{}", self.one(&["x", "\"Y y\"", "z"]).trim_matches('"'), self.next);
        let quoted = if alias.contains(' ') { format!("\"{alias}\"") } else { alias };
        let behind = format!("{}{quoted}", self.one(&["", "AS "]));
        let text = if self.rng.u32(..8) == 0 {
            let word = if lateral.is_empty() { "" } else { "LATERAL " };
            let before = self.aliases.len();
            if word.is_empty() {
                self.aliases.clear();
            }
            let kept = self.aliases.clone();
            self.aliases.push("t".to_owned());
            let a = self.int(1);
            let text =
                format!("{word}(SELECT DISTINCT id, {a} AS a, b, s, arr FROM t GROUP BY id, 2, b, s, arr) {behind}");
            self.aliases = kept;
            self.aliases.truncate(before);
            text
        } else {
            format!("{} {behind}", self.one(&["t", "u", "pg_temp.u"]))
        };
        self.aliases.push(quoted);
        text
    }

    fn outermost(&mut self) -> String {
        self.aliases.clear();
        self.next = 0;
        let with = if self.seldom() { "WITH c AS (SELECT id, a FROM t ORDER BY a LIMIT 3) " } else { "" };
        let joins = self.rng.u32(..3);
        let from = self.from(joins);
        let cte = if with.is_empty() { "" } else { " JOIN c ON c.id = 1" };
        let items: Vec<String> = (0..self.rng.u32(1..4))
            .map(|i| format!("{}{}", self.int(2), if self.seldom() { String::new() } else { format!(" AS o{i}") }))
            .collect();
        let filter = if self.seldom() { String::new() } else { format!(" WHERE {}", self.bool(3)) };
        format!("{with}SELECT {} FROM {from}{cte}{filter}", items.join(", "))
    }
}

#[test]
fn every_select_is_the_view_that_postgresql_makes_of_it() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("PGSPINE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let at = std::env::var("PGSPINE_TEST_POSTGRES")
        .unwrap_or_else(|_| panic!("PGSPINE_TEST_POSTGRES is not set: `make test` starts the servers and sets it"));
    let mut client = Client::connect(&at, NoTls).unwrap();
    client.batch_execute(TABLES).unwrap();
    let mut selects = Selects { rng: &mut rng, aliases: Vec::new(), next: 0 };
    let mut texts: Vec<String> = (0..3000).map(|_| selects.outermost()).collect();
    texts.extend(SELECTS.iter().map(|s| (*s).to_owned()));
    let (mut views, mut wrong) = (0, Vec::new());
    let mut refusals = std::collections::BTreeMap::new();
    for text in &texts {
        let theirs = view(&mut client, text);
        if let Err(code) = &theirs {
            *refusals.entry(code.clone()).or_insert(0) += 1;
            if SELECTS.contains(&text.as_str()) {
                wrong.push(format!("{text}\n    is no view: {code}"));
            }
        }
        match parse::select(text, 0) {
            Err(e) => wrong.push(format!("{text}\n    server: {theirs:?}\n    ours:   {e}")),
            Ok(select) => {
                views += u32::from(theirs.is_ok());
                let printed = view(&mut client, &select.to_string());
                if printed != theirs {
                    wrong.push(format!("{text}\n    {select}\n    server: {theirs:?}\n    ours:   {printed:?}"));
                } else if let Ok(view) = &theirs {
                    let names: Vec<_> = select.items.iter().map(|i| i.name().unwrap_or("?column?")).collect();
                    if !view.ends_with(&format!(";{}", names.join(","))) {
                        wrong.push(format!("{text}\n    server: {view}\n    our names: {names:?}"));
                    }
                }
            }
        }
    }
    eprintln!("{} texts: {views} are views; SQLSTATEs of the others, ours too: {refusals:?}", texts.len());
    assert!(views > 1000, "too few of the texts mean something: {views}");
    assert!(wrong.is_empty(), "seed {seed}: {} differ\n{}", wrong.len(), wrong[..wrong.len().min(6)].join("\n"));
}

/// Where a name or a constant means something else than it seems.
const SELECTS: &[&str] = &[
    "SELECT ARRAY(SELECT -x.a AS a FROM t x ORDER BY a) AS o FROM t",
    "SELECT ARRAY(SELECT -x.a AS a FROM t x ORDER BY a + 0) AS o FROM t",
    "SELECT ARRAY(SELECT -x.a AS a FROM t x ORDER BY x.a) AS o FROM t",
    "SELECT ARRAY(SELECT x.a AS b FROM t x ORDER BY b DESC NULLS LAST, 1) AS o FROM t",
    "SELECT (SELECT x.b FROM (SELECT -a AS a, a AS b FROM t ORDER BY b) x LIMIT 1) FROM t",
    "SELECT ARRAY(SELECT -x.a AS b FROM t x GROUP BY b, a ORDER BY 1) AS o FROM t",
    "SELECT ARRAY(SELECT -x.a AS c FROM t x GROUP BY c HAVING count(*) > 1 ORDER BY c) AS o FROM t",
    "SELECT ARRAY(SELECT max(a) FROM t GROUP BY b ORDER BY max) AS o FROM t",
    "SELECT ARRAY(SELECT 5 FROM t ORDER BY 1) AS o FROM t",
    "SELECT ARRAY(SELECT a + 1 FROM t GROUP BY 1 ORDER BY (1)) AS o FROM t",
    "SELECT ARRAY(SELECT DISTINCT a::text COLLATE \"C\" FROM t ORDER BY a) AS o FROM t",
    "SELECT ARRAY(SELECT DISTINCT a FROM t ORDER BY a DESC FETCH FIRST 2 ROWS ONLY) AS o FROM t",
    "SELECT ARRAY(SELECT a FROM t FETCH NEXT ROW ONLY) AS o FROM t",
    "SELECT (SELECT array_agg(a ORDER BY 1, b DESC) FROM u) FROM t",
    "SELECT (SELECT array_agg(DISTINCT a ORDER BY a DESC) FROM u) FROM t",
    "SELECT (SELECT count(*) FILTER (WHERE a > 1 OR b > 1) filtered FROM u) FROM t",
    "SELECT (SELECT count(ALL a) FROM u) n FROM t",
    "SELECT j['a']['b'][0] IS NULL, t.j['x'], (t.arr)[1], (SELECT u.arr FROM u LIMIT 1)[1] AS p FROM t",
    "SELECT ARRAY[ARRAY[a], ARRAY[b]], ARRAY[]::int[] AS e, ARRAY[[1, 2], [3, 4]] AS m, CAST(ARRAY[[]] AS int[]) AS n FROM t",
    "SELECT a IN ((SELECT a FROM u)), a IN ((SELECT a FROM u LIMIT 1), 2) AS p, a = ANY (((SELECT a FROM u))) AS q FROM t",
    "SELECT ((SELECT 1 FROM u LIMIT 1) + 1) * 2 AS o, ((((SELECT a FROM u LIMIT 1)))) FROM t",
    "SELECT a = ANY ((SELECT arr FROM u LIMIT 1)::int[]) AS o, 1 = ANY (arr) = true AS p FROM t",
    "SELECT a + 1 = ANY (arr) IS NULL AS o, NOT a = ALL (arr) AND b > 1 AS p FROM t",
    "SELECT s LIKE ANY (ARRAY['a']) AS o, s NOT ILIKE ALL (ARRAY['a', 'b']) || 'x' AS p FROM t",
    "SELECT ROW(a, b) < (1, 2) AS o, (a, b) IN ((1, 2), (3, 4)) AS p, (a, b) IS NULL AS q, ROW(a) = ROW(1) AS r FROM t",
    "SELECT (a, b) IN (SELECT a, b FROM u) AS o, (a, b) = (SELECT a, b FROM u LIMIT 1) AS p FROM t",
    "SELECT x.n FROM t LEFT JOIN LATERAL (SELECT count(*) AS n FROM u WHERE u.t_id = t.id) x ON true",
    "SELECT t.a AS o FROM t JOIN u ON t.id = u.t_id LEFT JOIN u AS left_one ON left_one.a = u.a AND u.b = 1 WHERE t.a = 1",
    "WITH recursive AS (SELECT a FROM t), y AS ((SELECT a FROM recursive)) SELECT y.a FROM y",
    "SELECT EXISTS (WITH c AS (SELECT a FROM u) SELECT FROM c WHERE c.a = t.a) FROM t",
    "SELECT EXISTS ((SELECT FROM u)), EXISTS (SELECT a FROM u GROUP BY 1) AS d FROM t",
    "SELECT t.a, count(*), sum(u.b) FILTER (WHERE u.a > 1) FROM t JOIN u ON u.t_id = t.id GROUP BY t.a HAVING max(u.b) > 1",
    "SELECT -a AS b FROM t GROUP BY b, a",
    "SELECT CASE WHEN a = 1 THEN b ELSE id END, CASE WHEN a = 1 THEN b END AS c, a::text, 'x'::text FROM t",
    "SELECT COALESCE(a, 1), NULLIF(a, 1), GREATEST(a, 1), LEAST(a, 1), EXISTS (SELECT 1 FROM u), (SELECT max(b) FROM u) FROM t",
    "SELECT a[1] FROM (SELECT arr AS a FROM t) x",
    "SELECT (SELECT y.a FROM u y WHERE y.t_id = x.id ORDER BY y.b DESC NULLS LAST, y.id LIMIT 1) FROM t AS x",
];
