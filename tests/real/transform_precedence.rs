//! Whether our tree is PostgreSQL's: the server answers a random text and our print of it, with every parenthesis, alike.

use fastrand::Rng;
use pgspine::transform::parse;
use postgres::{Client, NoTls, SimpleQueryMessage};

/// A text without (many) parentheses, so that precedence decides.
fn text(rng: &mut Rng, terms: u32) -> String {
    let operators = [
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "||",
        "=",
        "<>",
        "<",
        ">",
        "<=",
        ">=",
        "AND",
        "OR",
        "LIKE",
        "NOT LIKE",
        "ILIKE",
        "IS DISTINCT FROM",
        "IS NOT DISTINCT FROM",
        "#",
        "&",
        "|",
        "AT TIME ZONE",
        "-> ",
        "BETWEEN",
        "NOT BETWEEN",
        "LIKE 'a' ESCAPE",
    ];
    let postfix = [
        "IS NULL",
        "IS NOT NULL",
        "IS TRUE",
        "IS NOT FALSE",
        "IS UNKNOWN",
        "ISNULL",
        "NOTNULL",
        "::int",
        "::text",
        "::bool",
        "COLLATE \"C\"",
        "IN (1, 2)",
        "NOT IN (true)",
    ];
    let prefix = ["-", "NOT ", "+", "@ ", "~ "];
    let leaves = ["1", "2", "3", "0", "true", "false", "NULL", "'t'", "'1'", "'a'", "7.5", "(1)"];
    let mut out = String::new();
    for i in 0..terms {
        if i > 0 {
            let operator = operators[rng.usize(..operators.len())];
            out.push_str(&format!(" {operator} "));
            if operator.ends_with("BETWEEN") {
                out.push_str(leaves[rng.usize(..leaves.len())]);
                out.push_str(" AND ");
            }
        }
        if rng.u32(..4) == 0 {
            out.push_str(prefix[rng.usize(..prefix.len())]);
        }
        out.push_str(leaves[rng.usize(..leaves.len())]);
        if rng.u32(..4) == 0 {
            out.push(' ');
            out.push_str(postfix[rng.usize(..postfix.len())]);
        }
    }
    out
}

/// The value; or PostgreSQL's SQLSTATE.
fn ask(client: &mut Client, expression: &str) -> Result<Option<String>, String> {
    match client.simple_query(&format!("SELECT ({expression})::text")) {
        Ok(messages) => Ok(messages.iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })),
        Err(e) => Err(e.code().map_or_else(|| e.to_string(), |c| c.code().to_owned())),
    }
}

#[test]
fn every_parenthesis_stands_where_postgresql_has_it() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("PGSPINE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let at = std::env::var("PGSPINE_TEST_POSTGRES")
        .unwrap_or_else(|_| panic!("PGSPINE_TEST_POSTGRES is not set: `make test` starts the servers and sets it"));
    let mut client = Client::connect(&at, NoTls).unwrap();
    let (mut values, mut syntax) = (0, 0);
    let mut wrong = Vec::new();
    for _ in 0..6000 {
        let terms = rng.u32(2..6);
        let text = text(&mut rng, terms);
        let theirs = ask(&mut client, &text);
        match parse::expression(&text) {
            // What the grammar refuses, we refuse, and the other way round.
            Err(e) => {
                syntax += 1;
                if theirs.as_ref().err().is_none_or(|code| code != "42601") {
                    wrong.push(format!("{text}\n    server: {theirs:?}\n    ours:   {e}"));
                }
            }
            Ok(node) => {
                values += u32::from(theirs.is_ok());
                let printed = ask(&mut client, &node.to_string());
                if printed != theirs {
                    wrong.push(format!("{text}\n    {node}\n    server: {theirs:?}\n    ours:   {printed:?}"));
                }
            }
        }
    }
    eprintln!("6000 texts: {values} have a value, {syntax} are refused by both grammars");
    assert!(wrong.is_empty(), "seed {seed}: {} differ\n{}", wrong.len(), wrong[..wrong.len().min(15)].join("\n"));
}
