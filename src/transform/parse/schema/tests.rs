//! A snapshot, and what is not read.

use super::read;
use crate::catalogue::{QualifiedName, ReplicaIdentity};
use crate::transform::codes;

const SNAPSHOT: &str = "-- pgspine server=15.18 collate=en_US.UTF-8 provider=libc\n\
    CREATE SCHEMA shop;\n\
    CREATE TYPE shop.status AS ENUM ('new', 'paid');\n\
    CREATE DOMAIN shop.money_amount AS numeric(12,2) CHECK (VALUE >= 0);\n\
    CREATE TABLE shop.orders (\n  id bigint NOT NULL,\n  status shop.status NOT NULL DEFAULT 'new'::shop.status,\n\
    total shop.money_amount,\n  note text COLLATE \"C\",\n  tags text[],\n\
    twice bigint GENERATED ALWAYS AS ((id * 2)) STORED,\n  CONSTRAINT orders_pkey PRIMARY KEY (id),\n\
    CONSTRAINT ok CHECK ((total > (0)::numeric))\n);\n\
    CREATE UNIQUE INDEX orders_note ON shop.orders USING btree (note) WHERE (note IS NOT NULL);\n\
    ALTER TABLE ONLY shop.orders REPLICA IDENTITY FULL;\n\
    COMMENT ON COLUMN shop.orders.total IS 'in crowns';\n";

#[test]
fn a_snapshot_is_read_whole() {
    let catalogue = read(SNAPSHOT).unwrap();
    assert_eq!(catalogue.server.version_num, 150_018);
    assert_eq!(catalogue.server.collate, "en_US.UTF-8");
    let table = catalogue.table(Some("shop"), "orders").unwrap();
    assert_eq!(table.replica_identity, ReplicaIdentity::Full);
    let total = table.column("total").unwrap();
    assert_eq!((total.ty.typmod, total.comment.as_deref()), (((12 << 16) | 2) + 4, Some("in crowns")));
    assert_eq!(total.ty.domain, Some(QualifiedName::new("shop", "money_amount")));
    assert!(table.column("twice").unwrap().generated);
    assert_eq!(table.column("note").unwrap().ty.collation.as_deref(), Some("C"));
    assert!(table.indexes[0].primary && table.indexes[1].partial);
    assert_eq!(table.checks[0].definition, "CHECK ((total > (0)::numeric))");
}

#[test]
fn what_is_not_read_is_a_finding() {
    let wrong = format!("{SNAPSHOT}CREATE SEQUENCE x;");
    assert_eq!(read(&wrong).unwrap_err().code, codes::SCHEMA_SQL);
    assert!(read("CREATE SCHEMA shop;").is_err());
    for (end, _) in SNAPSHOT.char_indices() {
        let _ = read(&SNAPSHOT[..end]);
    }
}
