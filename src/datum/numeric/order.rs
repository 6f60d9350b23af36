//! Comparison, and the one form of equal values.

use std::cmp::Ordering;

use num_traits::Signed;

use super::Numeric::{Finite, Infinity, NaN, NegInfinity};
use super::{Mantissa, Numeric};

impl Numeric {
    /// PostgreSQL's order: −Infinity, numbers, Infinity, NaN; NaN equals itself; the scale does not count.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        let rank = |n: &Numeric| match n {
            NegInfinity => 0,
            Finite(_) => 1,
            Infinity => 2,
            NaN => 3,
        };
        let (Finite(a), Finite(b)) = (self, other) else { return rank(self).cmp(&rank(other)) };
        let signs = self.signum().cmp(&other.signum());
        if signs != Ordering::Equal || self.signum() == 0 {
            return signs;
        }
        let (x, y, _) = a.aligned(b);
        match (&x, &y) {
            (Mantissa::Small(x), Mantissa::Small(y)) => x.cmp(y),
            // `Small` whenever it fits: the sign of the big one decides between the two forms.
            (Mantissa::Small(_), Mantissa::Big(y)) => {
                if y.is_negative() {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Mantissa::Big(x), Mantissa::Small(_)) => {
                if x.is_negative() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Mantissa::Big(x), Mantissa::Big(y)) => x.cmp(y),
        }
    }

    /// Writes a text that equal values share, integers of other types too: no zeros after the last digit of a fraction.
    pub fn write_canonical(&self, out: &mut String) {
        let start = out.len();
        self.write(out);
        if out[start..].contains('.') {
            out.truncate(out.trim_end_matches('0').trim_end_matches('.').len());
        }
    }
}
