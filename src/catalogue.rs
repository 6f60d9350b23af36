//! Tables and types as PostgreSQL's catalogue describes them: what transforms are bound against.
//!
//! Read from the server by `capture::catalogue`, or from a `schema.sql` snapshot by `transform::parse`; both give
//! the same value, so `check` says the same with and without a database.

use std::fmt;
use std::sync::Arc;

pub type Oid = u32;

/// A schema-qualified name. Displayed quoted where PostgreSQL would need the quotes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QualifiedName {
    pub schema: String,
    pub name: String,
}

#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub server: Server,
    pub tables: Vec<Table>,
    /// User-defined functions whose name is also one of `pg_catalog`, as (schema, name): they could be meant.
    pub user_functions: Vec<QualifiedName>,
    /// `search_path` by which unqualified table names are looked up, in order.
    pub search_path: Vec<String>,
}

/// What decides which operations on text are exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`, e.g. 150018.
    pub version_num: u32,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    pub provider: CollationProvider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollationProvider {
    Libc,
    Icu,
    Builtin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// 0 when read from `schema.sql`.
    pub oid: Oid,
    pub name: QualifiedName,
    pub kind: TableKind,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub checks: Vec<Check>,
    pub replica_identity: ReplicaIdentity,
    /// Row-level security applies to the role that asked (`row_security_active`).
    pub row_security: bool,
    pub comment: Option<String>,
    /// Leaf partitions, transitively; empty unless `kind` is `Partitioned`.
    pub leaves: Vec<Leaf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    Ordinary,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
}

/// A leaf partition: what the stream names when the publication does not publish via the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub oid: Oid,
    pub name: QualifiedName,
    pub replica_identity: ReplicaIdentity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub attnum: i16,
    pub ty: ColumnType,
    pub not_null: bool,
    pub generated: bool,
    pub comment: Option<String>,
}

/// A type with its modifier (−1: none), domains resolved to their base.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnType {
    pub ty: Type,
    pub typmod: i32,
    /// A nondeterministic collation, or one other than the database's: by name.
    pub collation: Option<String>,
    pub domain: Option<QualifiedName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    /// `char(n)`
    Bpchar,
    /// `"char"`
    Char,
    Name,
    Citext,
    Uuid,
    Bytea,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    Enum(Arc<EnumType>),
    Array(Arc<Type>),
    Composite(Arc<CompositeType>),
    /// Any other type, known by its text form alone.
    Other(Arc<OtherType>),
    /// A string literal or NULL whose type nothing has decided yet.
    Unknown,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct EnumType {
    pub oid: Oid,
    pub name: QualifiedName,
    /// In `enumsortorder`.
    pub labels: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct CompositeType {
    pub oid: Oid,
    pub name: QualifiedName,
    pub fields: Vec<(String, ColumnType)>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OtherType {
    pub oid: Oid,
    pub name: QualifiedName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub name: String,
    /// Key columns by name, in index order; empty when the index has expressions.
    pub columns: Vec<String>,
    pub primary: bool,
    pub unique: bool,
    /// Not deferrable.
    pub immediate: bool,
    pub valid: bool,
    pub partial: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaIdentity {
    Default,
    Nothing,
    Full,
    Index(String),
}

/// A CHECK constraint, as `pg_get_constraintdef` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub definition: String,
}

impl Catalogue {
    /// The table that an optionally qualified name means, by `search_path`.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        let find = |s: &str| self.tables.iter().find(|t| t.name.schema == s && t.name.name == name);
        match schema {
            Some(s) => find(s),
            None => self.search_path.iter().find_map(|s| find(s)),
        }
    }
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The columns of the old tuple that identify a row in the stream, or None where only the whole row does (FULL)
    /// or nothing does. Only a valid, immediate, whole unique index over NOT NULL columns can be a replica identity.
    pub fn identity_columns(&self) -> Option<&[String]> {
        let usable = |i: &&Index| i.unique && i.immediate && i.valid && !i.partial && !i.columns.is_empty();
        let index = match &self.replica_identity {
            ReplicaIdentity::Default => self.indexes.iter().filter(usable).find(|i| i.primary),
            ReplicaIdentity::Index(name) => self.indexes.iter().filter(usable).find(|i| i.name == *name),
            ReplicaIdentity::Full | ReplicaIdentity::Nothing => None,
        };
        index.map(|i| i.columns.as_slice())
    }
}

impl ColumnType {
    pub fn plain(ty: Type) -> ColumnType {
        ColumnType { ty, typmod: -1, collation: None, domain: None }
    }
}

impl Default for Server {
    /// What `initdb` without a locale gives on the oldest server we take.
    fn default() -> Server {
        Server {
            version_num: 150000,
            encoding: "UTF8".into(),
            collate: "C.UTF-8".into(),
            ctype: "C.UTF-8".into(),
            provider: CollationProvider::Libc,
        }
    }
}

/// An identifier as PostgreSQL's `quote_ident` writes it, except that key words are quoted only by their callers' need:
/// a quoted key word is always right, so everything that is not plain lower case is quoted.
pub fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { always_quote_ident(name) }
}

/// An identifier in double quotes: right for every name, key words too. For SQL that we send.
pub fn always_quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal, safe under `standard_conforming_strings` on and off.
pub fn quote_literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''").replace('\\', "\\\\"));
    if text.contains('\\') { format!("E{quoted}") } else { quoted }
}

impl QualifiedName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> QualifiedName {
        QualifiedName { schema: schema.into(), name: name.into() }
    }
    /// For SQL that we send: both parts quoted.
    pub fn to_sql(&self) -> String {
        format!("{}.{}", always_quote_ident(&self.schema), always_quote_ident(&self.name))
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}
