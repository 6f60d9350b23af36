//! What benches/journey asks for beyond the program itself; nothing without the feature `bench`.

use crate::state::State;

/// Records are counted and thrown away, and the slot is told nothing: the same WAL can be read again.
pub fn discards() -> bool {
    cfg!(feature = "bench") && std::env::var_os("PGSPINE_BENCH_DISCARD").is_some()
}

/// At the end of a session.
pub fn report(state: &State) {
    if cfg!(feature = "bench") {
        let counts = state.read_counts();
        eprintln!("bench: row cache hits {} misses {}", counts.cache_hits, counts.cache_misses);
    }
}
