//! 7: what is durable is told to the slot.
//!
//! The end of the journey, and the only arrow back. It takes a [`Durable`], which only the state makes, and only from a
//! `Committed`, which only the emitter makes: C ≤ S ≤ P is kept by these types.

use crate::capture::Feedback;
use crate::failpoints;
use crate::state::Durable;

/// The reader repeats it to the server with its next status update.
pub fn confirm(feedback: &Feedback, durable: Durable) {
    failpoints::hit("before_confirm");
    feedback.confirm(durable.lsn());
    failpoints::hit("confirmed");
}
