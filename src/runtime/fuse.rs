//! The fuse: no reconcile may empty a topic because something was pointed at the wrong place.

use std::collections::BTreeSet;

use crate::config::Percent;

use super::failure::Failure;

/// `max_tombstones`, and the words that a person has given.
#[derive(Clone, Debug)]
pub struct Fuse {
    pub max: Percent,
    pub words: BTreeSet<String>,
}

/// Below as many live keys a percentage says nothing.
const FROM: u64 = 100;

impl Fuse {
    /// `tombstones` keys of the `alive` ones would go.
    pub fn check(&self, topic: &str, revision: &str, alive: u64, tombstones: u64) -> Result<(), Failure> {
        let allowed = self.max.of(alive);
        let word = format!("tombstones:{topic}@{revision}");
        if alive < FROM || tombstones <= allowed || self.words.contains(&word) {
            return Ok(());
        }
        Err(Failure::Fuse { topic: topic.to_owned(), alive, tombstones, allowed, word })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_blows_above_its_share_only() {
        let fuse = Fuse { max: Percent::whole(5), words: ["tombstones:t@r2".to_owned()].into() };
        assert!(fuse.check("t", "r1", 99, 99).is_ok(), "few keys");
        assert!(fuse.check("t", "r1", 100, 5).is_ok());
        let Err(Failure::Fuse { word, allowed, .. }) = fuse.check("t", "r1", 100, 6) else { panic!("6 of 100") };
        assert_eq!((word.as_str(), allowed), ("tombstones:t@r1", 5));
        assert!(fuse.check("t", "r2", 100, 100).is_ok(), "approved");
        assert!(fuse.check("u", "r2", 100, 100).is_err(), "approved for another topic");
    }
}
