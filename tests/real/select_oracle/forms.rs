//! Each form of a SELECT that a reader of the manual may try, over rows that are meant to trip it: exact, or refused by the
//! code that stands before it. A form that is taken and answers otherwise than PostgreSQL is a fault of ours.

use super::*;

#[path = "form_list.rs"]
mod form_list;

const SCHEMA: &str = "
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN public.code AS text;
CREATE TABLE public.a (id int NOT NULL, k int, big bigint, n numeric, t text, v varchar(20), c char(5), d date, ts timestamp, tz timestamptz, f float8, m public.mood, dom public.code, b bool, u uuid, j jsonb, ints int[], iv interval, length int, CONSTRAINT a_pkey PRIMARY KEY (id));
CREATE TABLE public.b (id bigint NOT NULL, a_id int, k bigint, n numeric, t text, v varchar(20), c char(3), d date, ts timestamp, tz timestamptz, f float8, m public.mood, dom public.code, flag bool, u uuid, j jsonb, ints int[], code text, \"Mixed Case\" text, \"select\" int, CONSTRAINT b_pkey PRIMARY KEY (id), CONSTRAINT b_code UNIQUE (code));
CREATE TABLE public.p (x int NOT NULL, y text NOT NULL, z int, w numeric(8,2), CONSTRAINT p_pkey PRIMARY KEY (x, y));
CREATE TABLE public.q (id int NOT NULL, y text, x bigint, z int, CONSTRAINT q_pkey PRIMARY KEY (id));
CREATE TABLE public.bag (k int, t text, n numeric(6,2));
";

fn pick(rng: &mut Rng, null_one_in: u32, of: &[&str]) -> String {
    if rng.u32(..null_one_in) == 0 { "NULL".to_owned() } else { of[rng.usize(..of.len())].to_owned() }
}

fn fill_forms(client: &mut Client, rng: &mut Rng) {
    const TEXTS: &[&str] = &["''", "'a'", "'a '", "'A'", "'ab'", "'ß'", "'q\"u''o\\te'", "'日本'", "'NULL'", "'{,}'"];
    const NUMBERS: &[&str] =
        &["1", "1.0", "1.00", "0", "0.000", "-0.5", "2.50", "3", "'NaN'", "123456789012345678901234567890.5"];
    const FLOATS: &[&str] = &["0", "'-0'", "'NaN'", "'infinity'", "'-infinity'", "1.5", "1e20", "0.1"];
    const DATES: &[&str] = &["'2026-01-01'", "'2026-01-31'", "'infinity'", "'0044-03-15 BC'", "'2024-02-29'"];
    const STAMPS: &[&str] = &["'2026-01-01'", "'2026-01-01 00:00:00.5'", "'infinity'", "'2026-03-29 02:30:00'"];
    const ZONED: &[&str] =
        &["'2026-01-01 00:00+00'", "'2026-01-01 01:00+01'", "'-infinity'", "'2026-06-01 12:00+05:30'"];
    const MOODS: &[&str] = &["'sad'", "'ok'", "'happy'"];
    const UUIDS: &[&str] = &["'6f2a7a2e-0f57-4c9d-8a0b-0d4f4f0a1b00'", "'6F2A7A2E-0F57-4C9D-8A0B-0D4F4F0A1B01'"];
    const JSONS: &[&str] = &[
        "'{\"bb\":1,\"a\":1.10,\"a\":2.0}'",
        "'null'",
        "'[1,\"x\",null]'",
        "'\"text\"'",
        "'{\"a\":{\"b\":[]}}'",
        "'{}'",
    ];
    const ARRAYS: &[&str] = &["'{}'", "'{1}'", "'{1,NULL,3}'", "'{NULL}'", "'[2:3]={1,2}'", "'{3,2,1}'"];
    let mut sql = String::new();
    for id in 1..=14 {
        let (k, big) = (pick(rng, 4, &["1", "2", "3", "4"]), pick(rng, 4, &["1", "2", "3", "9999999999"]));
        let iv = pick(rng, 4, &["'1 day'", "'24 hours'", "'1 mon'", "'30 days'", "'-00:00:01'"]);
        let row = [
            id.to_string(),
            k,
            big,
            pick(rng, 4, NUMBERS),
            pick(rng, 4, TEXTS),
            pick(rng, 4, TEXTS),
            pick(rng, 4, &["'a'", "'ab'", "''", "'A'"]),
            pick(rng, 4, DATES),
            pick(rng, 4, STAMPS),
            pick(rng, 4, ZONED),
            pick(rng, 4, FLOATS),
            pick(rng, 4, MOODS),
            pick(rng, 4, TEXTS),
            pick(rng, 3, &["true", "false"]),
            pick(rng, 4, UUIDS),
            pick(rng, 4, JSONS),
            pick(rng, 4, ARRAYS),
            iv,
            pick(rng, 3, &["1", "2", "5"]),
        ];
        sql += &format!("INSERT INTO a VALUES ({});\n", row.join(", "));
    }
    for id in 1..=24 {
        let (a_id, k) = (pick(rng, 5, &["1", "2", "3", "4", "5", "99"]), pick(rng, 4, &["1", "2", "3", "77"]));
        let code = if rng.u32(..3) == 0 { "NULL".to_owned() } else { format!("'c{}'", 30 - id) };
        let row = [
            id.to_string(),
            a_id,
            k,
            pick(rng, 4, NUMBERS),
            pick(rng, 4, TEXTS),
            pick(rng, 4, TEXTS),
            pick(rng, 4, &["'a'", "'ab'", "''", "'b'"]),
            pick(rng, 4, DATES),
            pick(rng, 4, STAMPS),
            pick(rng, 4, ZONED),
            pick(rng, 4, FLOATS),
            pick(rng, 4, MOODS),
            pick(rng, 4, TEXTS),
            pick(rng, 3, &["true", "false"]),
            pick(rng, 4, UUIDS),
            pick(rng, 4, JSONS),
            pick(rng, 4, ARRAYS),
            code,
            pick(rng, 4, TEXTS),
            pick(rng, 4, &["1", "2", "10"]),
        ];
        sql += &format!("INSERT INTO b VALUES ({});\n", row.join(", "));
    }
    for x in 1..=3 {
        for y in ["a", "b", "a "] {
            let (z, w) = (pick(rng, 4, &["1", "2", "3"]), pick(rng, 4, &["1.50", "2", "-3.25"]));
            sql += &format!("INSERT INTO p VALUES ({x}, '{y}', {z}, {w});\n");
        }
    }
    for id in 1..=10 {
        let (y, x) = (pick(rng, 5, &["'a'", "'b'", "'a '", "'zz'"]), pick(rng, 5, &["1", "2", "3", "4"]));
        sql += &format!("INSERT INTO q VALUES ({id}, {y}, {x}, {});\n", pick(rng, 4, &["1", "2", "3"]));
    }
    for _ in 0..12 {
        let (k, t) = (pick(rng, 4, &["1", "2", "3"]), pick(rng, 4, &["'x'", "'y'", "'x '"]));
        sql += &format!("INSERT INTO bag VALUES ({k}, {t}, {});\n", pick(rng, 4, &["1.5", "2", "1.50"]));
    }
    client.batch_execute(&sql).unwrap();
}

#[test]
fn every_form_is_exact_or_refused_by_its_name() {
    let seed = std::env::var("PGSPINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("PGSPINE_SEED={seed}");
    let mut failures = Vec::new();
    for round in 0..4 {
        let mut rng = Rng::with_seed(seed.wrapping_add(round));
        let mut world = World::made("select_forms", SCHEMA, |client| fill_forms(client, &mut rng));
        for (expected, select) in form_list::FORMS {
            let answer = match world.plan_with_warnings("\"id\"", select) {
                // Where PostgreSQL's own answer is open there is nothing to compare.
                Ok((_, warnings)) if warnings.iter().any(|w| w.code.to_string() == "PGS1045") => {
                    Ok("PGS1045".to_owned())
                }
                Ok(_) => world.compare("\"id\"", select).map(|()| "=".to_owned()),
                Err(refused) => Ok(refused),
            };
            match answer {
                Ok(got) if got.starts_with(expected) => {}
                Ok(got) => failures.push(format!("{select}\n  expected {expected}, got {got}")),
                Err(e) => failures.push(format!("{select}\n  WRONG {e}")),
            }
        }
        if !failures.is_empty() {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
