//! Kinds of columns: how SQL writes the type, and what values a column of it may have.

use fastrand::Rng;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    NumericP(u32, u32),
    Text,
    Varchar,
    Bpchar,
    Char,
    Name,
    Citext,
    Uuid,
    Bytea,
    Date,
    Time,
    TimeTz,
    Timestamp,
    /// `timestamp(3)`
    TimestampMs,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    /// Objects of one shape, which a contract's record can take.
    Shape,
    Enum,
    Composite,
    Hstore,
    Inet,
    Range,
    Bits,
    Domain(Box<Kind>),
    Array(Box<Kind>),
}

use Kind::*;

pub const LABELS: [&str; 4] = ["new", "paid", "sent", "Gone away"];

/// The types that every schema has beside its tables.
pub const TYPES: &str = "CREATE TYPE status AS ENUM ('new', 'paid', 'sent', 'Gone away'); \
     CREATE TYPE pair AS (n int, t text, d numeric(8,2)); \
     CREATE DOMAIN d_int4 AS int CHECK (VALUE IS NULL OR VALUE > -1000000); \
     CREATE DOMAIN d_text AS text; CREATE DOMAIN d_numericp AS numeric(9,3); CREATE DOMAIN d_status AS status;";

impl Kind {
    pub fn sql(&self) -> String {
        match self {
            Bool => "boolean".into(),
            Int2 => "smallint".into(),
            Int4 => "integer".into(),
            Int8 => "bigint".into(),
            Oid => "oid".into(),
            Float4 => "real".into(),
            Float8 => "double precision".into(),
            Numeric => "numeric".into(),
            NumericP(p, s) => format!("numeric({p},{s})"),
            Text => "text".into(),
            Varchar => "varchar(40)".into(),
            Bpchar => "char(6)".into(),
            Char => "\"char\"".into(),
            Name => "name".into(),
            Citext => "ext.citext".into(),
            Uuid => "uuid".into(),
            Bytea => "bytea".into(),
            Date => "date".into(),
            Time => "time".into(),
            TimeTz => "timetz".into(),
            Timestamp => "timestamp".into(),
            TimestampMs => "timestamp(3)".into(),
            TimestampTz => "timestamptz".into(),
            Interval => "interval".into(),
            Json => "json".into(),
            Jsonb | Shape => "jsonb".into(),
            Enum => "status".into(),
            Composite => "pair".into(),
            Hstore => "ext.hstore".into(),
            Inet => "inet".into(),
            Range => "int4range".into(),
            Bits => "bit varying(9)".into(),
            Domain(base) => match **base {
                Int4 => "d_int4".into(),
                Text => "d_text".into(),
                Enum => "d_status".into(),
                _ => "d_numericp".into(),
            },
            Array(of) => format!("{}[]", of.sql()),
        }
    }

    /// What expressions see.
    pub fn base(&self) -> &Kind {
        match self {
            Domain(base) => base,
            other => other,
        }
    }

    /// Another kind whose values `=` compares with this one's.
    pub fn alike(&self, rng: &mut Rng) -> Kind {
        let among = |rng: &mut Rng, of: &[Kind]| of[rng.usize(..of.len())].clone();
        match self.base() {
            Int2 | Int4 | Int8 => among(rng, &[Int2, Int4, Int8, Int8, Numeric, NumericP(12, 2)]),
            Numeric | NumericP(..) => among(rng, &[Numeric, NumericP(12, 2), NumericP(30, 10)]),
            Text | Varchar => among(rng, &[Text, Varchar, Domain(Text.into())]),
            _ => self.clone(),
        }
    }

    /// Equal values of kinds with the same number are found by a join.
    pub fn join_class(&self) -> Option<u8> {
        Some(match self.base() {
            Int2 | Int4 | Int8 | Numeric | NumericP(..) => 0,
            Text | Varchar => 1,
            Bpchar => 2,
            Enum => 3,
            Uuid => 4,
            Bool => 5,
            Bytea => 6,
            Date => 7,
            Time => 8,
            Timestamp | TimestampMs => 9,
            TimestampTz => 10,
            Oid => 11,
            Char => 12,
            Name => 13,
            _ => return None,
        })
    }

    /// ORDER BY is exact for it, and equal values look alike.
    pub fn sorts(&self) -> bool {
        !matches!(self.base(), Numeric | Bpchar) && self.join_class().is_some()
    }

    /// ORDER BY is exact for it.
    pub fn orders(&self) -> bool {
        self.sorts() || matches!(self.base(), Numeric | Bpchar | Float8)
    }

    /// Can be a column of a btree key.
    pub fn for_key(rng: &mut Rng) -> Kind {
        let all = [
            Int2,
            Int4,
            Int4,
            Int4,
            Int8,
            Int8,
            Text,
            Text,
            Varchar,
            Bpchar,
            Uuid,
            Uuid,
            Numeric,
            NumericP(12, 2),
            Date,
            Timestamp,
            TimestampTz,
            Bytea,
            Enum,
            Citext,
            Float8,
            Name,
            Oid,
            Domain(Int4.into()),
            Domain(Text.into()),
            Time,
            Interval,
            Inet,
            Bool,
            Char,
        ];
        all[rng.usize(..all.len())].clone()
    }

    pub fn any(rng: &mut Rng) -> Kind {
        let all = [
            Bool,
            Int2,
            Int4,
            Int4,
            Int8,
            Oid,
            Float4,
            Float8,
            Numeric,
            NumericP(10, 2),
            NumericP(30, 10),
            Text,
            Text,
            Text,
            Varchar,
            Bpchar,
            Char,
            Name,
            Citext,
            Uuid,
            Bytea,
            Date,
            Time,
            TimeTz,
            Timestamp,
            TimestampMs,
            TimestampTz,
            Interval,
            Json,
            Jsonb,
            Shape,
            Enum,
            Composite,
            Hstore,
            Inet,
            Range,
            Bits,
            Domain(Int4.into()),
            Domain(Text.into()),
            Domain(Enum.into()),
            Domain(NumericP(9, 3).into()),
            Array(Int4.into()),
            Array(Text.into()),
            Array(NumericP(10, 2).into()),
            Array(Enum.into()),
            Array(TimestampTz.into()),
            Array(Float8.into()),
            Array(Bytea.into()),
            Array(Uuid.into()),
        ];
        all[rng.usize(..all.len())].clone()
    }

    /// A literal with its type; never NULL. `edges`: also values that no contract but a string can hold.
    pub fn literal(&self, rng: &mut Rng, edges: bool) -> String {
        format!("{}::{}", quote(&self.value(rng, edges)), self.sql())
    }

    /// A value of a key column: from a small pool, so that keys come back.
    pub fn key_literal(&self, rng: &mut Rng) -> String {
        let n = rng.u32(..9);
        let text = match self.base() {
            // Out of line where it is no key, and kept as a digest in an index of joins.
            Text if rng.u32(..8) == 0 => format!("{}{}", "long".repeat(525), n % 2),
            Int2 | Int4 | Int8 => [i64::from(n), -i64::from(n), 1000 + i64::from(n)][rng.usize(..3)].to_string(),
            Oid => n.to_string(),
            Text | Varchar | Citext | Name => {
                ["a", "A", "b", "", " b", "é", "日本", "x,y", "1", "Ab", "\\", "\""][rng.usize(..12)].into()
            }
            Bpchar => ["a", "b", "", "ab", " a"][rng.usize(..5)].into(),
            Char => ["a", "b", "c", "1"][rng.usize(..4)].into(),
            Uuid => format!("6f2a7a2e-0f57-4c9d-8a0b-0d4f4f0a1b{n:02x}"),
            Numeric => ["1", "1.0", "1.00", "0", "0.0", "-2.5", "100", "1e2", "3.14159"][n as usize].into(),
            NumericP(..) => format!("{n}.{}0", n % 3),
            Date => format!("2026-01-{:02}", n + 1),
            Timestamp | TimestampTz => format!("2026-01-{:02} 10:00:00.{n}", n + 1),
            Bytea => format!("\\x{n:02x}{:02x}", 255 - n),
            Enum => LABELS[n as usize % 4].into(),
            Float8 => ["0", "-0", "1", "1.5", "1e20", "-3", "0.1", "NaN", "1e-5"][n as usize].into(),
            Time => format!("0{n}:00:00"),
            Interval => ["P1D", "PT24H", "P1M", "P30D", "PT1S", "PT0S", "P1Y", "P12M", "P2D"][n as usize].into(),
            Inet => format!("10.0.0.{n}/{}", 24 + n % 2 * 8),
            Bool => ["t", "f"][n as usize % 2].into(),
            other => panic!("{other:?} is no kind of a key"),
        };
        format!("{}::{}", quote(&text), self.sql())
    }

    fn value(&self, rng: &mut Rng, edges: bool) -> String {
        let edge = edges && rng.u32(..4) == 0;
        let pick = |rng: &mut Rng, of: &[&str]| of[rng.usize(..of.len())].to_owned();
        match self {
            Bool => pick(rng, &["t", "f"]),
            Int2 if edge => pick(rng, &["32767", "-32768", "0"]),
            Int4 if edge => pick(rng, &["2147483647", "-2147483648", "16777217"]),
            Int8 if edge => pick(rng, &["9223372036854775807", "-9223372036854775808", "9007199254740993"]),
            Int2 | Int4 | Int8 => rng.i32(-20..100).to_string(),
            Oid => pick(rng, &["0", "1", "42", "4294967295"]),
            Float4 if edge => pick(rng, &["NaN", "Infinity", "-Infinity", "-0", "3.4028235e38", "1e-45", "16777217"]),
            Float8 if edge => pick(rng, &["NaN", "Infinity", "-Infinity", "-0", "1e300", "5e-324", "9007199254740993"]),
            Float4 | Float8 => {
                pick(rng, &["0", "1", "0.1", "2.5", "-3.5", "100000", "1e15", "1e-5", "123456.79", "1e20"])
            }
            Numeric if edge => pick(
                rng,
                &["NaN", "Infinity", "-Infinity", "1e40", "1e-30", "123456789012345678901234567890.123456789", "-0.00"],
            ),
            Numeric => pick(rng, &["0", "0.00", "1.10", "1.1", "-2.50", "12345.678", "100", "1e3", "0.0001"]),
            NumericP(..) if edge => pick(rng, &["NaN", "0.00", "-0.01", "999999.99"]),
            NumericP(..) => pick(rng, &["0", "1.10", "19.99", "-1.50", "12345.67", "1000"]),
            Text | Domain(_) if edge && *self.base() == Text => pick(
                rng,
                &[
                    "ß",
                    "ŉ",
                    "İ",
                    "ΑΣ",
                    "e\u{301}",
                    "😀x",
                    "%_\\",
                    "\t\n\r",
                    "'\"",
                    "\u{1}",
                    "null",
                    "NULL",
                    "{}",
                    "\u{feff}x",
                ],
            ),
            Text | Name | Citext => words(rng),
            Varchar => words(rng).chars().take(40).collect(),
            Bpchar => pick(rng, &["", "a", "abc", "abcdef", " a b", "é", "A"]),
            Char => pick(rng, &["", "a", "Z", "1", "b"]),
            Uuid => format!("{:08x}-0f57-4c9d-8a0b-0d4f4f0a1b{:02x}", rng.u32(..), rng.u8(..)),
            Bytea => (0..rng.usize(..6)).fold("\\x".to_owned(), |s, _| s + &format!("{:02x}", rng.u8(..))),
            Date if edge => {
                pick(rng, &["infinity", "-infinity", "0044-03-15 BC", "5874897-12-31", "0001-01-01", "1582-10-15"])
            }
            Date => format!("20{:02}-{:02}-{:02}", rng.u32(..60), rng.u32(1..13), rng.u32(1..29)),
            Time if edge => pick(rng, &["24:00:00", "23:59:59.999999", "00:00:00"]),
            Time => {
                format!("{:02}:{:02}:{:02}.{:06}", rng.u32(..24), rng.u32(..60), rng.u32(..60), rng.u32(..1_000_000))
            }
            TimeTz => pick(rng, &["10:00:00+02", "12:34:56.789-05:30", "00:00:00+00"]),
            Timestamp | TimestampTz | TimestampMs if edge => pick(
                rng,
                &[
                    "infinity",
                    "-infinity",
                    "0044-03-15 12:00:00 BC",
                    "294276-12-31 23:59:59",
                    "0001-01-01 00:00:00",
                    "1969-12-31 23:59:59.999999",
                    "1582-10-15 00:00:00.0005",
                ],
            ),
            Timestamp | TimestampTz | TimestampMs => {
                let fraction = ["", ".5", ".123456", ".000001", ".999"][rng.usize(..5)];
                format!(
                    "{} {:02}:{:02}:{:02}{fraction}",
                    Date.value(rng, false),
                    rng.u32(..24),
                    rng.u32(..60),
                    rng.u32(..60)
                )
            }
            Interval => {
                pick(rng, &["P1D", "PT24H", "P1Y2M-3DT4H5M6.7S", "P-1M", "PT0S", "P1M-30D", "PT20H", "PT-0.000001S"])
            }
            Json => pick(
                rng,
                &[
                    "{\"b\":1, \"a\" : [1,2.50 ]}",
                    "null",
                    "[]",
                    "\"x\"",
                    "1.10",
                    "{\"a\":1,\"a\":2}",
                    "{\"a\":{\"b\":\"é\\u00e9\"}}",
                ],
            ),
            Jsonb => pick(
                rng,
                &[
                    "{\"b\":1,\"a\":[1,2.50]}",
                    "null",
                    "[]",
                    "\"x\"",
                    "1.10",
                    "{\"a\":1,\"a\":2}",
                    "1e2",
                    "{\"a\":{\"b\":null}}",
                    "true",
                ],
            ),
            Shape => {
                let n = pick(rng, &["1", "-5", "null", "9007199254740993"]);
                let amount = pick(rng, &["1.10", "0", "12.5", "99.99"]);
                let t = pick(rng, &["\"x\"", "\"\"", "\"é\\n\\\"\""]);
                let list = pick(rng, &["[]", "[1]", "[1,2,3]"]);
                match rng.u32(..3) {
                    0 => format!("{{\"n\":{n},\"amount\":{amount},\"t\":{t},\"list\":{list}}}"),
                    1 => format!("{{\"amount\":{amount},\"t\":{t},\"list\":{list},\"flag\":true}}"),
                    _ => format!("{{\"t\":{t},\"amount\":{amount},\"flag\":null,\"list\":{list}}}"),
                }
            }
            Enum => pick(rng, &LABELS),
            Composite => pick(rng, &["(1,abc,2.50)", "(,,)", "(-3,\"a,b\"\"c\",)", "(,\"\",0.00)", "(7,\" x(\",1)"]),
            Hstore => pick(rng, &["a=>1,b=>NULL", "", "\"x y\"=>\"q\\\"r\"", "a=>\"\""]),
            Inet => pick(rng, &["10.0.0.1", "192.168.0.0/24", "::1", "10.1.2.3/8"]),
            Range => pick(rng, &["[1,5)", "empty", "(,3]", "[2,)"]),
            Bits => pick(rng, &["1", "0101", ""]),
            Domain(base) => base.value(rng, edges && **base != Int4),
            Array(of) => {
                if edge && rng.bool() {
                    return pick(rng, &["{}", "{NULL}", "{NULL,NULL}"]);
                }
                let items: Vec<String> = (0..rng.usize(..4))
                    .map(|_| match rng.u32(..6) {
                        0 => "NULL".to_owned(),
                        _ => format!("\"{}\"", of.value(rng, edges).replace('\\', "\\\\").replace('"', "\\\"")),
                    })
                    .collect();
                match rng.u32(..8) {
                    0 if !items.is_empty() => format!("[2:{}]={{{}}}", items.len() + 1, items.join(",")),
                    _ => format!("{{{}}}", items.join(",")),
                }
            }
        }
    }
}

fn words(rng: &mut Rng) -> String {
    const WORDS: [&str; 16] = [
        "",
        "a",
        "abc",
        "Hello World",
        "12",
        "-7",
        "x,y,z",
        " pad ",
        "äöü€",
        "日本語",
        "A%b_c",
        "true",
        "null",
        "q\"r",
        "back\\slash",
        "Zz",
    ];
    WORDS[rng.usize(..WORDS.len())].to_owned()
}

pub fn quote(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}
