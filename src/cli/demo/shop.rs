//! The shipped project, carried in the binary so that the demo runs anywhere: tables, transforms, contracts.

use std::path::{Path, PathBuf};

use crate::capture::Connection;
use crate::config::Config;

use super::error::DemoError;

/// Schema `shop` with a little in it.
const TABLES: &str = include_str!("../../../dev/shop.sql");

macro_rules! shipped {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../../transforms/", $path)))),+] };
}

/// By path below `transforms/`.
const FILES: &[(&str, &str)] = shipped![
    "shop/customer.avsc",
    "shop/customer.sql",
    "shop/order.avsc",
    "shop/order.sql",
    "shop/order_event.avsc",
    "shop/order_event.sql",
    "shop/order_line.avsc",
    "shop/order_line.sql",
    "shop/product.avsc",
    "shop/product.sql",
];

/// Enough that the load can be seen, and still over in seconds: 180,000 rows.
const MORE: &str = "
-- Foreign keys are right by construction here; looking each of them up would take longer than the rest.
SET session_replication_role = replica;

INSERT INTO shop.customers (full_name, email, points, created_at, closed_at)
SELECT 'Customer ' || n, CASE WHEN n % 9 > 0 THEN 'C' || n || '@Example.com' END, n * 37 % 1500,
       now() - n * interval '61 s', CASE WHEN n % 25 = 0 THEN now() - n * interval '1 s' END
FROM generate_series(101, 20000) AS n;

INSERT INTO shop.products (title, category, price, weight_kg, tags, attributes, available_from, discontinued)
SELECT 'product no ' || n, (ARRAY['books', 'tools', 'toys', 'food'])[1 + n % 4]::shop.category, 1 + n * 0.07,
       CASE WHEN n % 4 > 0 THEN n / 7.0::float8 END,
       CASE n % 3 WHEN 0 THEN ARRAY['new', 'blue \"deep\"', NULL] WHEN 1 THEN ARRAY['ßø,{}'] ELSE '{}' END,
       jsonb_build_object('colour', 'blue', 'size', n % 5, 'scale', n * 0.10), DATE '2024-01-01' + n, n % 20 = 0
FROM generate_series(61, 3000) AS n;

INSERT INTO shop.orders (customer_id, status, total, note, ship_city, ship_country, placed_at)
SELECT 1 + n % 20000, (ARRAY['draft', 'placed', 'paid', 'shipped', 'cancelled'])[1 + n % 5], n % 9000 * 1.37,
       CASE WHEN n % 3 = 0 THEN '  leave at the door ' END, (ARRAY['Berlin', 'Lyon', 'Porto', NULL])[1 + n % 4],
       (ARRAY['de', 'fr', 'pt', NULL])[1 + n % 4], now() - n * interval '7.031 s'
FROM generate_series(1001, 60000) AS n;

INSERT INTO shop.order_lines (order_id, line_no, product_id, qty, unit_price)
SELECT n, l, 1 + (n * 7 + l) % 3000, 1 + n % 4, 1 + (n + l) % 600 * 0.37
FROM generate_series(1001, 60000) AS n, generate_series(1, 1 + n % 2) AS l;

RESET session_replication_role;
ANALYZE;
";

/// Ids that are there before the workload begins.
pub const CUSTOMERS: u64 = 20_000;
pub const PRODUCTS: u64 = 3_000;
pub const ORDERS: u64 = 60_000;

pub fn fill(conn: &mut Connection) -> Result<(), DemoError> {
    conn.execute(TABLES)?;
    Ok(conn.execute(MORE)?)
}

/// Writes the project into the folder and reads its configuration, as `run` does.
pub fn project(folder: &Path, postgres: &str, kafka: &str, registry: &str) -> Result<Config, DemoError> {
    for (name, text) in FILES {
        let path = folder.join("transforms").join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(DemoError::io(format!("{} cannot be written", path.display())))?;
    }
    let file: PathBuf = folder.join("pgspine.toml");
    // One partition more than one would do; six on a broker that is gone in a minute would only cost time.
    let text = format!(
        "[bridge]\nname = \"demo\"\n\n[postgres]\nurl = \"{postgres}\"\n\n[kafka]\nbootstrap_servers = \"{kafka}\"\n\n\
         [registry]\nurl = \"{registry}\"\n\n[topics]\npartitions = 3\nreplication_factor = 1\n\n[http]\nlisten = \"\"\n"
    );
    std::fs::write(&file, text).map_err(DemoError::io(format!("{} cannot be written", file.display())))?;
    // The environment of whoever tries the demo is not meant for it.
    Config::load_with(&file, Default::default()).map_err(DemoError::Project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_shipped_project_is_carried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("transforms");
        let mut found = Vec::new();
        for folder in std::fs::read_dir(&root).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                found.push(file.unwrap().path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
        found.retain(|name| !name.ends_with(".test.sql"));
        found.sort();
        assert_eq!(found, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
