//! placeholder until the emitter lands
use crate::lsn::EndLsn;
#[derive(Clone, Copy, Debug)]
pub struct Committed(EndLsn);
impl Committed {
    pub fn lsn(self) -> EndLsn { self.0 }
    #[cfg(test)]
    pub fn for_test(lsn: EndLsn) -> Committed { Committed(lsn) }
}
