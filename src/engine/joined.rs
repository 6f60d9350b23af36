//! Transforms over several sources: every root that the transaction touches is evaluated in both views.
//!
//! Roots come in the order of their identities and are told as they are rendered, so that a look-up row on which a
//! million of them hang needs no memory for their renderings, and a transaction that was cut off in the middle gives
//! the same records in the same order again.

use std::sync::Arc;

use crate::state::{State, View};

use super::diff::{self, Scratch, Transform};
use super::lookup::Rows;
use super::net::Net;
use super::sighting::Sighting;
use super::table::{Identity, Table};
use super::touched::Touched;
use super::{EngineError, Outlet, Progress, SIGN, SplitLimits};
use crate::record::OutputBatch;

#[allow(clippy::too_many_arguments)]
pub(super) fn transform(
    t: &mut Transform,
    tables: &[Table],
    net: &Net,
    touched: &mut Touched,
    s: &mut Scratch,
    limits: &SplitLimits,
    state: &State,
    out: &mut OutputBatch,
    outlet: &mut dyn Outlet,
) -> Result<(), EngineError> {
    let sources = Arc::clone(&t.sources);
    touched.collect(&t.name, &sources, tables, net, state, outlet)?;
    let table = &tables[t.root()];
    let keyed = matches!(table.identity, Identity::Key { .. });
    let before = Rows::new(state, tables, &sources, View::Before);
    let after = Rows::new(state, tables, &sources, View::After);
    let (mut old, mut new) = (Vec::new(), Vec::new());
    s.forget_rows();
    let of = touched.roots.len() as u64;
    for (n, identity) in (1..).zip(touched.roots.iter()) {
        if n % SIGN == 0 {
            outlet.progress(Progress::Roots { transform: &t.name, done: n, of })?;
        }
        let (old, new, has) = match net.table(t.root()).and_then(|n| n.row(identity)) {
            // What has changed itself is at hand.
            Some(row) if keyed => (row.before.as_deref(), row.after.as_deref(), u64::from(row.after.is_some())),
            _ => {
                let had = before.root(identity, &mut old)?;
                let has = after.root(identity, &mut new)?;
                ((had > 0).then_some(&old[..]), (has > 0).then_some(&new[..]), has)
            }
        };
        let old = Sighting { image: old, rows: Some(&before) };
        let new = Sighting { image: new, rows: Some(&after) };
        diff::root(t, table, old, new, has, s, limits, out, outlet)?;
        if t.keyed_by_root {
            // No other root has this key: nothing has to wait.
            diff::merge(t, s, limits, state, out, outlet)?;
        }
    }
    diff::merge(t, s, limits, state, out, outlet)
}
