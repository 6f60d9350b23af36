//! Typed random expressions over the columns in scope: nearly all of them bind, and most raise nothing.

use fastrand::Rng;

use super::kinds::{Kind, LABELS, quote};
use super::schema::{Column, Schema, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Bool,
    Int,
    Big,
    Num,
    Float,
    Text,
    Date,
    Ts,
    Tstz,
    Interval,
    Jsonb,
    Enum,
    Uuid,
    Bytea,
}

const WANTS: [Want; 20] = [
    Want::Bool,
    Want::Int,
    Want::Int,
    Want::Big,
    Want::Num,
    Want::Num,
    Want::Float,
    Want::Text,
    Want::Text,
    Want::Text,
    Want::Text,
    Want::Date,
    Want::Ts,
    Want::Tstz,
    Want::Interval,
    Want::Jsonb,
    Want::Enum,
    Want::Uuid,
    Want::Bytea,
    Want::Bool,
];

/// A source whose columns can be named.
pub struct Visible<'a> {
    pub table: &'a Table,
    /// How its columns are qualified: empty, or an alias with its dot.
    pub alias: String,
}

pub struct Expressions<'a> {
    pub rng: &'a mut Rng,
    pub schema: &'a Schema,
    pub scope: Vec<Visible<'a>>,
    /// Also what may raise: divisions, overflows, casts of text.
    pub risky: bool,
    /// So many subqueries may still be written.
    pub subqueries: u32,
    /// Aliases that are taken.
    pub aliases: u32,
}

impl Expressions<'_> {
    pub fn any(&mut self, depth: u32) -> String {
        let want = WANTS[self.rng.usize(..WANTS.len())];
        self.of(want, depth)
    }

    pub fn column_text(&self, source: usize, i: usize) -> String {
        let source = &self.scope[source];
        format!("{}{}", source.alias, source.table.columns[i].name)
    }

    /// All columns that can be named: source, place and column.
    pub fn columns(&self) -> impl Iterator<Item = (usize, usize, &Column)> {
        let of = |(s, v): (usize, &'_ Visible<'_>)| (0..v.table.columns.len()).map(move |i| (s, i)).collect::<Vec<_>>();
        let places: Vec<_> = self.scope.iter().enumerate().flat_map(of).collect();
        places.into_iter().map(|(s, i)| (s, i, &self.scope[s].table.columns[i]))
    }

    pub fn pick<'p>(&mut self, of: &[&'p str]) -> &'p str {
        of[self.rng.usize(..of.len())]
    }

    pub fn column(&mut self, fits: impl Fn(&Kind) -> bool) -> Option<String> {
        let all: Vec<(usize, usize)> =
            self.columns().filter(|(_, _, c)| fits(c.kind.base())).map(|(s, i, _)| (s, i)).collect();
        let &(s, i) = all.get(self.rng.usize(..all.len().max(1)))?;
        Some(self.column_text(s, i))
    }

    fn leaf(&mut self, want: Want) -> String {
        use Kind as K;
        if self.rng.u32(..5) > 0 {
            let found = match want {
                Want::Bool => self.column(|k| *k == K::Bool),
                Want::Int => self.column(|k| matches!(k, K::Int4 | K::Int2)),
                Want::Big => self.column(|k| matches!(k, K::Int8 | K::Int4)),
                Want::Num => self.column(|k| matches!(k, K::Numeric | K::NumericP(..))),
                Want::Float => self.column(|k| matches!(k, K::Float8 | K::Float4)),
                Want::Text => self.column(|k| matches!(k, K::Text | K::Varchar)),
                Want::Date => self.column(|k| *k == K::Date),
                Want::Ts => self.column(|k| matches!(k, K::Timestamp | K::TimestampMs)),
                Want::Tstz => self.column(|k| *k == K::TimestampTz),
                Want::Interval => self.column(|k| *k == K::Interval),
                Want::Jsonb => self.column(|k| matches!(k, K::Jsonb | K::Shape)),
                Want::Enum => self.column(|k| *k == K::Enum),
                Want::Uuid => self.column(|k| *k == K::Uuid),
                Want::Bytea => self.column(|k| *k == K::Bytea),
            };
            if let Some(c) = found {
                return c;
            }
        }
        let of: &[&str] = match want {
            Want::Bool => &["true", "false", "NULL::boolean"],
            Want::Int => &["0", "1", "-1", "7", "100", "NULL::int", "'12'::int", "3::smallint"],
            Want::Big => &["3000000000", "1::bigint", "-2", "NULL::bigint"],
            Want::Num => &["1.50", "0.00", "-2.5", "1e3", "NULL::numeric", "12::numeric(6,2)", "3"],
            Want::Float => &["1.5::float8", "0.1::real", "-0.0::float8", "NULL::float8", "2::double precision"],
            Want::Text => {
                &["'abc'", "''", "' x '", "'a%'", "NULL::text", "'Hello'::varchar(3)", "'é'", "'1'", "E'\\n\\\\'"]
            }
            Want::Date => &["date '2026-02-28'", "'2020-02-29'::date", "NULL::date"],
            Want::Ts => &["timestamp '2026-01-31 10:20:30.5'", "NULL::timestamp"],
            Want::Tstz => &["'2026-01-31 10:20:30.5+02'::timestamptz", "NULL::timestamptz"],
            Want::Interval => &["interval '1 month'", "interval '1 day 2 hours'", "'PT0S'::interval", "NULL::interval"],
            Want::Jsonb => &["'{\"a\":1,\"bb\":[1,2.50]}'::jsonb", "'null'::jsonb", "NULL::jsonb"],
            Want::Enum => return format!("{}::status", quote(LABELS[self.rng.usize(..4)])),
            Want::Uuid => &["'6f2a7a2e-0f57-4c9d-8a0b-0d4f4f0a1b2c'::uuid"],
            Want::Bytea => &["'\\x00ff'::bytea", "NULL::bytea"],
        };
        self.pick(of).to_owned()
    }

    /// A text of type `want`, in parentheses where it needs them.
    pub fn of(&mut self, want: Want, depth: u32) -> String {
        // A type is known by a column that has it.
        let want = match want {
            Want::Enum if self.columns().all(|(_, _, c)| *c.kind.base() != Kind::Enum) => Want::Text,
            want => want,
        };
        if depth == 0 || self.rng.u32(..7) == 0 {
            return self.leaf(want);
        }
        let d = depth - 1;
        if self.subqueries > 0
            && self.rng.u32(..9) == 0
            && let Some(text) = self.subquery(want, d)
        {
            return text;
        }
        // What every type has.
        match self.rng.u32(..12) {
            0 => {
                return format!(
                    "CASE WHEN {} THEN {} ELSE {} END",
                    self.of(Want::Bool, d),
                    self.of(want, d),
                    self.of(want, d)
                );
            }
            1 if want != Want::Enum || depth > 1 => {
                let f = self.pick(&["coalesce", "nullif", "coalesce"]);
                if want != Want::Jsonb || f == "coalesce" {
                    return format!("{f}({}, {})", self.of(want, d), self.of(want, d));
                }
            }
            2 if !matches!(want, Want::Bool | Want::Jsonb | Want::Uuid) => {
                let f = self.pick(&["greatest", "least"]);
                return format!("{f}({}, {})", self.of(want, d), self.of(want, d));
            }
            3 => return format!("CASE WHEN {} THEN {} END", self.of(Want::Bool, d), self.of(want, d)),
            _ => {}
        }
        match want {
            Want::Bool => self.boolean(d),
            Want::Int => self.integer(d),
            Want::Big => {
                let (a, b) = (self.of(Want::Big, d), self.of(Want::Int, d));
                match self.rng.u32(..4) {
                    0 => format!("({a})::bigint"),
                    1 => format!("({a} - {b})"),
                    2 => format!("(({a}) % (abs({b}) + 7))"),
                    _ => format!("({a} + {b})"),
                }
            }
            Want::Num => self.numeric(d),
            Want::Float => self.float(d),
            Want::Text => self.text(d),
            Want::Date => match self.rng.u32(..3) {
                0 => format!("({} + {})", self.of(Want::Date, d), self.leaf(Want::Int)),
                1 => format!("({})::date", self.of(Want::Ts, d)),
                _ => format!("({} - 3)", self.of(Want::Date, d)),
            },
            Want::Ts => match self.rng.u32(..4) {
                0 => format!("date_trunc('{}', {})", self.unit(), self.of(Want::Ts, d)),
                1 => format!("({} + {})", self.of(Want::Ts, d), self.of(Want::Interval, d)),
                2 => format!("({})::timestamp", self.of(Want::Date, d)),
                _ => format!("({} - {})", self.of(Want::Ts, d), self.of(Want::Interval, d)),
            },
            Want::Tstz => match self.rng.u32(..3) {
                0 => format!("date_trunc('{}', {})", self.unit(), self.of(Want::Tstz, d)),
                1 => format!("({} + {})", self.of(Want::Tstz, d), self.of(Want::Interval, d)),
                _ => format!("({})::timestamptz", self.of(Want::Ts, d)),
            },
            Want::Interval => match self.rng.u32(..4) {
                0 => format!("({} - {})", self.of(Want::Ts, d), self.of(Want::Ts, d)),
                1 => format!("({} + {})", self.of(Want::Interval, d), self.of(Want::Interval, d)),
                2 => format!("({} * {})", self.of(Want::Interval, d), self.pick(&["2", "0.5", "-1"])),
                _ => format!("(- {})", self.of(Want::Interval, d)),
            },
            Want::Jsonb => match self.rng.u32(..4) {
                0 => format!("({} -> {})", self.of(Want::Jsonb, d), self.pick(&["'a'", "'n'", "0", "'list'"])),
                1 => format!("({} #> '{{a,0}}')", self.of(Want::Jsonb, d)),
                _ => {
                    let args: Vec<String> = (0..self.rng.usize(..4))
                        .map(|i| format!("'{}', {}", ["a", "bb", "c d", "é"][i], self.any(d)))
                        .collect();
                    format!("jsonb_build_object({})", args.join(", "))
                }
            },
            Want::Enum if self.risky => format!("({})::status", self.of(Want::Text, d)),
            Want::Uuid if self.risky => format!("({})::uuid", self.of(Want::Text, d)),
            Want::Bytea => format!("({} || {})", self.of(Want::Bytea, d), self.of(Want::Bytea, d)),
            other => self.leaf(other),
        }
    }

    fn unit(&mut self) -> &'static str {
        self.pick(&[
            "second",
            "minute",
            "hour",
            "day",
            "week",
            "month",
            "quarter",
            "year",
            "decade",
            "century",
            "millisecond",
        ])
    }

    fn comparable(&mut self, d: u32) -> (String, String) {
        let want = [
            Want::Int,
            Want::Big,
            Want::Num,
            Want::Float,
            Want::Text,
            Want::Text,
            Want::Date,
            Want::Ts,
            Want::Tstz,
            Want::Enum,
            Want::Uuid,
            Want::Interval,
            Want::Bytea,
        ][self.rng.usize(..13)];
        (self.of(want, d), self.of(want, d))
    }

    fn boolean(&mut self, d: u32) -> String {
        match self.rng.u32(..12) {
            0..=2 => {
                let (a, b) = self.comparable(d);
                format!(
                    "({a} {} {b})",
                    self.pick(&["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
                )
            }
            3 => format!("({} {} {})", self.of(Want::Bool, d), self.pick(&["AND", "OR"]), self.of(Want::Bool, d)),
            4 => format!("(NOT {})", self.of(Want::Bool, d)),
            5 => {
                let test = self.pick(&["NULL", "NOT NULL"]);
                let e = self.any(d);
                format!("({e} IS {test})")
            }
            6 => format!(
                "({} IS {})",
                self.of(Want::Bool, d),
                self.pick(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"])
            ),
            7 => {
                let (a, b) = self.comparable(d);
                format!("({a} {}IN ({b}, {a}, {b}))", self.pick(&["", "NOT "]))
            }
            8 => {
                let (a, b) = self.comparable(d);
                format!("({a} {}BETWEEN {b} AND {a})", self.pick(&["", "NOT "]))
            }
            9 | 10 => format!(
                "({} {} '{}')",
                self.of(Want::Text, d),
                self.pick(&["LIKE", "NOT LIKE", "ILIKE"]),
                self.pick(&["%a%", "a_c", "", "%", "A%", "%\\%%", "_%é"])
            ),
            _ => {
                let source = self.rng.usize(..self.scope.len());
                let i = self.rng.usize(..self.scope[source].table.columns.len());
                let c = self.column_text(source, i);
                if matches!(self.scope[source].table.columns[i].kind, Kind::Json | Kind::Composite) {
                    return format!("({c} IS NOT NULL)");
                }
                match self.rng.u32(..4) {
                    0 => format!("({c} {} {c})", self.pick(&["=", "<>", "IS DISTINCT FROM", "<="])),
                    1 => format!("({c} {}IN ({c}, {c}))", self.pick(&["", "NOT "])),
                    2 => format!("({c} = coalesce({c}, {c}))"),
                    _ => format!("({c} IS NOT NULL)"),
                }
            }
        }
    }

    fn integer(&mut self, d: u32) -> String {
        match self.rng.u32(..9) {
            0 => format!("({} + {})", self.of(Want::Int, d), self.of(Want::Int, d)),
            1 => format!("({} - {})", self.of(Want::Int, d), self.of(Want::Int, d)),
            2 if self.risky => format!("({} * {})", self.of(Want::Int, d), self.of(Want::Int, d)),
            3 if self.risky => {
                format!("({} {} {})", self.of(Want::Int, d), self.pick(&["/", "%"]), self.of(Want::Int, d))
            }
            4 if self.risky => format!("({})::int", self.of(Want::Text, d)),
            5 => format!("{}({})", self.pick(&["length", "char_length", "octet_length"]), self.of(Want::Text, d)),
            6 => format!("strpos({}, {})", self.of(Want::Text, d), self.of(Want::Text, d)),
            7 => format!("({} / {})", self.of(Want::Int, d), self.pick(&["2", "3", "-7", "10"])),
            _ => format!("abs({})", self.of(Want::Int, d)),
        }
    }

    fn numeric(&mut self, d: u32) -> String {
        match self.rng.u32(..10) {
            0 | 1 => format!("({} {} {})", self.of(Want::Num, d), self.pick(&["+", "-", "*"]), self.of(Want::Num, d)),
            2 => format!("({} / {})", self.of(Want::Num, d), self.pick(&["3", "7.5", "-0.03", "1000"])),
            3 if self.risky => {
                format!("({} {} {})", self.of(Want::Num, d), self.pick(&["/", "%"]), self.of(Want::Num, d))
            }
            4 => format!("round({}, {})", self.of(Want::Num, d), self.pick(&["0", "2", "-1", "5"])),
            5 => {
                format!("{}({})", self.pick(&["ceil", "floor", "abs", "trunc", "sign", "round"]), self.of(Want::Num, d))
            }
            6 => format!("({})::numeric", self.of(Want::Int, d)),
            7 if self.risky => format!("({})::numeric(7,2)", self.of(Want::Num, d)),
            8 => format!(
                "extract({} from {})",
                self.pick(&["year", "month", "epoch", "dow", "second", "week"]),
                self.of(Want::Ts, d)
            ),
            _ => format!("({} * {})", self.of(Want::Num, d), self.of(Want::Int, d)),
        }
    }

    fn float(&mut self, d: u32) -> String {
        match self.rng.u32(..5) {
            0 => format!("({} {} {})", self.of(Want::Float, d), self.pick(&["+", "-"]), self.of(Want::Float, d)),
            1 if self.risky => {
                format!("({} {} {})", self.of(Want::Float, d), self.pick(&["*", "/"]), self.of(Want::Float, d))
            }
            2 => format!("({})::float8", self.of(Want::Int, d)),
            3 => format!(
                "{}({})",
                self.pick(&["abs", "ceil", "floor", "round", "trunc", "sign"]),
                self.of(Want::Float, d)
            ),
            _ => format!("({} * 0.5::float8)", self.of(Want::Float, d)),
        }
    }

    fn text(&mut self, d: u32) -> String {
        match self.rng.u32(..16) {
            0 | 1 => format!("({} || {})", self.of(Want::Text, d), self.of(Want::Text, d)),
            2 => format!(
                "{}({})",
                self.pick(&["upper", "lower", "initcap", "md5", "reverse", "btrim", "ltrim", "rtrim", "trim"]),
                self.of(Want::Text, d)
            ),
            3 => format!("concat({}, {}, {})", self.any(d), self.of(Want::Text, d), self.any(d)),
            4 => format!("concat_ws('-', {}, {})", self.any(d), self.of(Want::Text, d)),
            5 => format!(
                "{}({}, {})",
                self.pick(&["left", "right"]),
                self.of(Want::Text, d),
                self.pick(&["2", "0", "-1", "5"])
            ),
            6 => format!(
                "substring({} from {} for {})",
                self.of(Want::Text, d),
                self.pick(&["1", "2", "-1", "0"]),
                self.pick(&["0", "3", "10"])
            ),
            7 => format!("replace({}, {}, {})", self.of(Want::Text, d), self.leaf(Want::Text), self.leaf(Want::Text)),
            8 => format!("split_part({}, ',', {})", self.of(Want::Text, d), self.pick(&["1", "2", "-1"])),
            9 => format!("lpad({}, {}, '*')", self.of(Want::Text, d), self.pick(&["3", "12", "0"])),
            10 => format!("({} ->> {})", self.of(Want::Jsonb, d), self.pick(&["'a'", "'t'", "'n'", "0"])),
            11..=13 => {
                let e = match self.column(|_| true) {
                    Some(c) if self.rng.bool() => c,
                    _ => self.any(d),
                };
                format!("({e})::text")
            }
            14 => format!("({})::varchar(4)", self.of(Want::Text, d)),
            _ => format!("repeat({}, 2)", self.of(Want::Text, d)),
        }
    }
}
