//! Ready-made sources.
//!
//! A source that many programs need has its file here. So far there is the one that the reactor
//! itself uses: the descriptor through which all its timers expire.

pub(super) mod timer_source;
