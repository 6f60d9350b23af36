//! 7: state durable, slot told.
