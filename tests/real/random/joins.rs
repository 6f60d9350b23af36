//! What lies beyond one table: joined sources, subqueries and aggregates, each found by an equality.

use super::expression::{Expressions, Visible, Want};
use super::kinds::Kind;
use super::schema::Table;

/// A source beside those in scope, and how it is found.
pub struct Partner<'a> {
    pub table: &'a Table,
    pub alias: String,
    /// Equalities, with AND between them.
    pub on: String,
    /// They hold all columns of a key.
    pub unique: bool,
}

/// A column of the partner, and the one in scope that it equals.
type Equated = (usize, (usize, usize));

/// FROM and WHERE of a subquery; its sources are in scope.
pub struct From {
    pub text: String,
    /// Where its own sources begin in the scope.
    pub start: usize,
    /// One row at most.
    pub unique: bool,
}

impl<'a> Expressions<'a> {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        ["s", "x", "q", "\"A b\""][self.aliases as usize % 4].replace("\"A b\"", &format!("\"A {}\"", self.aliases))
            + &if self.aliases % 4 == 3 { String::new() } else { self.aliases.to_string() }
    }

    /// A table that hangs on something in scope; `one`: by a whole key.
    pub fn partner(&mut self, one: bool) -> Option<Partner<'a>> {
        let schema = self.schema;
        let mut found: Vec<(usize, Vec<Equated>)> = Vec::new();
        let index = |t: &Table| schema.tables.iter().position(|o| o.name == t.name);
        for (s, v) in self.scope.iter().enumerate() {
            for r in &v.table.refers {
                found.push((r.table, r.columns.iter().map(|&(own, key)| (key, (s, own))).collect()));
            }
            let here = index(v.table);
            for (i, t) in schema.tables.iter().enumerate().filter(|_| !one) {
                for r in t.refers.iter().filter(|r| Some(r.table) == here) {
                    found.push((i, r.columns.iter().map(|&(own, key)| (own, (s, key))).collect()));
                }
            }
        }
        if found.is_empty() || self.rng.u32(..4) == 0 {
            // Columns that nobody meant to be joined.
            let to = self.rng.usize(..schema.tables.len());
            let t = &schema.tables[to];
            let key = &t.keys[self.rng.usize(..t.keys.len())].0;
            let mut on = Vec::new();
            let wanted: Vec<usize> = match one {
                true => key.clone(),
                false => (0..[1, 1, 1, 2][self.rng.usize(..4)]).map(|_| self.rng.usize(..t.columns.len())).collect(),
            };
            for c in wanted {
                let class = t.columns[c].kind.join_class()?;
                let fits: Vec<(usize, usize)> = self
                    .columns()
                    .filter(|(_, _, o)| o.kind.join_class() == Some(class))
                    .map(|(s, i, _)| (s, i))
                    .collect();
                on.push((c, *fits.get(self.rng.usize(..fits.len().max(1)))?));
            }
            found.push((to, on));
            let last = found.len() - 1;
            found.swap(0, last);
            found.truncate(1);
        }
        let (to, on) = found.swap_remove(self.rng.usize(..found.len()));
        let table = &schema.tables[to];
        if on.iter().any(|(c, _)| table.columns[*c].kind.join_class().is_none()) {
            return None;
        }
        let covers = |key: &Vec<usize>| key.iter().all(|k| on.iter().any(|(c, _)| c == k));
        let unique = !table.keyless && table.keys.iter().any(|k| covers(&k.0));
        if one && !unique {
            return None;
        }
        let alias = self.alias();
        let mut text = Vec::new();
        for (own, (s, theirs)) in on {
            let (own, theirs) = (format!("{alias}.{}", table.columns[own].name), self.column_text(s, theirs));
            text.push(if self.rng.bool() { format!("{own} = {theirs}") } else { format!("{theirs} = {own}") });
        }
        Some(Partner { table, alias, on: text.join(" AND "), unique })
    }

    pub fn see(&mut self, p: &Partner<'a>) {
        self.scope.push(Visible { table: p.table, alias: format!("{}.", p.alias) });
    }

    /// A further condition, or nothing.
    pub fn and(&mut self, one_in: u32) -> String {
        if self.rng.u32(..one_in) > 0 {
            return String::new();
        }
        let risky = std::mem::replace(&mut self.risky, false);
        let text = format!(" AND {}", self.condition(0));
        self.risky = risky;
        text
    }

    /// Most of them hold for some rows and not for others.
    pub fn condition(&mut self, start: usize) -> String {
        match self.rng.u32(..6) {
            0 => {
                let depth = self.rng.u32(1..3);
                self.of(Want::Bool, depth)
            }
            1 if self.subqueries > 0 => {
                let length = self.scope.len();
                let text = self.exists();
                self.scope.truncate(length);
                // Bare, where PostgreSQL makes a join of it.
                text.map_or("true".into(), |t| t[1..t.len() - 1].to_owned())
            }
            2 => {
                let (s, class) = (self.rng.usize(start..self.scope.len()), self.rng.u32(..14) as u8);
                let fits = |k: &Kind| k.join_class() == Some(class);
                match (self.column_of(s, fits), self.column(fits)) {
                    (Some(a), Some(b)) => format!("{a} {} {b}", self.pick(&["<>", "=", "<=", "IS DISTINCT FROM"])),
                    _ => self.own_condition(start),
                }
            }
            _ => self.own_condition(start),
        }
    }

    fn column_of(&mut self, source: usize, fits: impl Fn(&Kind) -> bool) -> Option<String> {
        let columns = &self.scope[source].table.columns;
        let all: Vec<usize> = (0..columns.len()).filter(|&i| fits(&columns[i].kind)).collect();
        let &i = all.get(self.rng.usize(..all.len().max(1)))?;
        Some(self.column_text(source, i))
    }

    /// One or more joins behind what is in scope.
    pub fn join(&mut self, one: bool) -> Option<String> {
        let p = self.partner(one)?;
        self.see(&p);
        let word = if self.rng.u32(..5) < 3 { "LEFT JOIN" } else { "JOIN" };
        let more = self.and(4);
        Some(format!("{word} {} AS {} ON {}{more}", p.table.name, p.alias, p.on))
    }

    /// The caller takes the sources out of scope again.
    pub fn from(&mut self, one: bool) -> Option<From> {
        self.subqueries = self.subqueries.checked_sub(1)?;
        let start = self.scope.len();
        let p = self.partner(one)?;
        self.see(&p);
        let mut text = format!("FROM {} {}", p.table.name, p.alias);
        let mut unique = p.unique;
        if self.rng.u32(..4) == 0 {
            let many = !one && self.rng.u32(..3) == 0;
            // Only what hangs on the subquery's own source.
            let outer: Vec<_> = self.scope.drain(..start).collect();
            let join = self.partner(!many);
            let inner = std::mem::replace(&mut self.scope, outer);
            self.scope.extend(inner);
            if let Some(j) = join {
                self.see(&j);
                let word = if self.rng.bool() { "LEFT JOIN" } else { "JOIN" };
                let more = self.and(5);
                text += &format!(" {word} {} {} ON {}{more}", j.table.name, j.alias, j.on);
                unique &= j.unique;
            }
        }
        let more = self.and(3);
        text += &format!(" WHERE {}{more}", p.on);
        Some(From { text, start, unique })
    }

    /// ORDER BY that tells all rows of the subquery apart; None: nothing does.
    pub fn total_order(&mut self, start: usize) -> Option<String> {
        let mut order = Vec::new();
        let own = start..self.scope.len();
        if self.rng.bool() {
            let s = self.rng.usize(own.clone());
            let i = self.rng.usize(..self.scope[s].table.columns.len());
            if self.scope[s].table.columns[i].kind.orders() {
                order.push(self.column_text(s, i));
            }
        }
        for s in own {
            let t = self.scope[s].table;
            if t.keyless || t.keys[0].0.iter().any(|&c| !t.columns[c].kind.orders()) {
                return None;
            }
            order.extend(t.keys[0].0.iter().map(|&c| self.column_text(s, c)));
        }
        let directed = |e: String, rng: &mut fastrand::Rng| {
            e + ["", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"][rng.usize(..6)]
        };
        let order: Vec<String> = order.into_iter().map(|e| directed(e, self.rng)).collect();
        Some(order.join(", "))
    }

    /// A column of the subquery's own whose equal values look alike.
    pub fn sorting(&mut self, start: usize) -> Option<String> {
        let all: Vec<(usize, usize)> =
            self.columns().filter(|(s, _, c)| *s >= start && c.kind.sorts()).map(|(s, i, _)| (s, i)).collect();
        let &(s, i) = all.get(self.rng.usize(..all.len().max(1)))?;
        Some(self.column_text(s, i))
    }

    /// An array or a jsonb object that an aggregate makes.
    pub fn collected(&mut self) -> Option<String> {
        let length = self.scope.len();
        let text = self.collect();
        self.scope.truncate(length);
        text
    }

    fn collect(&mut self) -> Option<String> {
        let from = self.from(false)?;
        let order = self.total_order(from.start)?;
        let column = self.sorting(from.start)?;
        let call = match self.rng.u32(..4) {
            0 => format!("array_agg(DISTINCT {column})"),
            1 => {
                let s = self.rng.usize(from.start..self.scope.len());
                let i = self.rng.usize(..self.scope[s].table.columns.len());
                format!("jsonb_object_agg(concat({column}, 'x'), {} ORDER BY {order})", self.column_text(s, i))
            }
            _ => format!("array_agg({column} ORDER BY {order})"),
        };
        Some(format!("(SELECT {call} {})", from.text))
    }

    /// A correlated subquery of this type, in parentheses.
    pub fn subquery(&mut self, want: Want, depth: u32) -> Option<String> {
        let length = self.scope.len();
        let text = self.written(want, depth);
        self.scope.truncate(length);
        text
    }

    fn written(&mut self, want: Want, depth: u32) -> Option<String> {
        if want == Want::Bool && self.rng.u32(..4) > 0 {
            return self.exists();
        }
        if self.rng.bool() {
            return self.aggregate(want, depth);
        }
        let one = self.rng.bool();
        let from = self.from(one)?;
        let item = self.of(want, depth);
        let tail = match from.unique || self.risky && self.rng.u32(..12) == 0 {
            true => String::new(),
            false => format!(" ORDER BY {} LIMIT 1", self.total_order(from.start)?),
        };
        Some(format!("(SELECT {item} {}{tail})", from.text))
    }

    fn exists(&mut self) -> Option<String> {
        let from = self.from(false)?;
        let not = self.pick(&["", "NOT "]);
        if self.rng.bool() {
            return Some(format!("({not}EXISTS (SELECT {} {}))", self.pick(&["1", "", "NULL"]), from.text));
        }
        // IN: a column of the subquery, and one outside of it that `=` compares.
        let own: Vec<(usize, usize, u8)> = self
            .columns()
            .filter(|(s, ..)| *s >= from.start)
            .filter_map(|(s, i, c)| Some((s, i, c.kind.join_class()?)))
            .collect();
        let &(s, i, class) = own.get(self.rng.usize(..own.len().max(1)))?;
        let outer: Vec<(usize, usize)> = self
            .columns()
            .filter(|(s, _, c)| *s < from.start && c.kind.join_class() == Some(class))
            .map(|(s, i, _)| (s, i))
            .collect();
        let &(o, c) = outer.get(self.rng.usize(..outer.len().max(1)))?;
        Some(format!("({} {not}IN (SELECT {} {}))", self.column_text(o, c), self.column_text(s, i), from.text))
    }

    fn aggregate(&mut self, want: Want, depth: u32) -> Option<String> {
        let from = self.from(false)?;
        let order = self.total_order(from.start);
        let sorted = order.as_ref().map(|o| format!(" ORDER BY {o}"));
        let which = self.rng.u32(..4);
        let mut own = |fits: &dyn Fn(&Kind) -> bool| {
            let all: Vec<(usize, usize)> = self
                .columns()
                .filter(|(s, _, c)| *s >= from.start && fits(c.kind.base()))
                .map(|(s, i, _)| (s, i))
                .collect();
            let &(s, i) = all.get(self.rng.usize(..all.len().max(1)))?;
            Some(self.column_text(s, i))
        };
        let call = match (want, which) {
            (Want::Bool, _) => {
                let f = self.pick(&["bool_or", "bool_and", "every"]);
                format!("{f}({})", self.own_condition(from.start))
            }
            (Want::Big, 0) => "count(*)".into(),
            (Want::Big, 1) => format!("count(DISTINCT {})", own(&|k| k.join_class().is_some())?),
            (Want::Big, 2) => format!("count({})", own(&|_| true)?),
            (Want::Big, _) => format!("sum({})", own(&|k| matches!(k, Kind::Int2 | Kind::Int4))?),
            (Want::Num, 0) => {
                format!("sum({})", own(&|k| matches!(k, Kind::Int8 | Kind::Numeric | Kind::NumericP(..)))?)
            }
            (Want::Num, 1) => format!("avg({})", own(&|k| k.join_class() == Some(0))?),
            (Want::Num, _) => {
                let c = own(&|k| matches!(k, Kind::NumericP(..)))?;
                format!("{}({c})", self.pick(&["min", "max"]))
            }
            (Want::Int, _) => {
                let c = own(&|k| matches!(k, Kind::Int4))?;
                format!("{}({c})", self.pick(&["min", "max"]))
            }
            (Want::Float, _) => format!("sum({}{})", own(&|k| *k == Kind::Float8)?, sorted?),
            (Want::Text, 0) => format!("string_agg(DISTINCT {}, '-')", own(&|k| *k == Kind::Text)?),
            (Want::Text, 1) => {
                let item = self.of(Want::Text, depth.min(1));
                // Of its own, or it would belong to another SELECT.
                let column = self.sorting(from.start)?;
                format!("string_agg(concat({column}, {item}), ', '{})", sorted?)
            }
            (Want::Text, _) => {
                let c = own(&|k| matches!(k, Kind::Text | Kind::Varchar))?;
                format!("{}({c})", self.pick(&["min", "max"]))
            }
            (Want::Date, _) => format!("max({})", own(&|k| *k == Kind::Date)?),
            (Want::Ts, _) => format!("min({})", own(&|k| matches!(k, Kind::Timestamp))?),
            (Want::Tstz, _) => format!("max({})", own(&|k| *k == Kind::TimestampTz)?),
            (Want::Jsonb, 0) => {
                let c = own(&|k| !matches!(k, Kind::Json))?;
                format!("jsonb_agg({c}{})", sorted?)
            }
            (Want::Jsonb, _) => {
                let c = own(&|k| !matches!(k, Kind::Json))?;
                let more = self.any(depth.min(1));
                format!("jsonb_agg(jsonb_build_object('c', {c}, 'm', {more}){})", sorted?)
            }
            _ => return None,
        };
        let filter = match self.rng.u32(..4) {
            0 => format!(" FILTER (WHERE {})", self.condition(from.start)),
            _ => String::new(),
        };
        Some(format!("(SELECT {call}{filter} {})", from.text))
    }

    /// A condition that names a column of the subquery.
    fn own_condition(&mut self, start: usize) -> String {
        let depth = self.rng.u32(..3);
        let any = self.of(Want::Bool, depth);
        let s = self.rng.usize(start..self.scope.len());
        let i = self.rng.usize(..self.scope[s].table.columns.len());
        let c = self.column_text(s, i);
        match self.rng.u32(..3) {
            0 => format!("({any} AND {c} IS NOT NULL)"),
            1 => format!("({c} IS NULL OR {any})"),
            _ => format!("({c} IS NOT NULL)"),
        }
    }
}
