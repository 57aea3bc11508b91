//! Ready-made sources.
//!
//! Each file holds one source that many programs need. So far there is one, which the reactor
//! itself uses: the timer descriptor.

pub(super) mod timer_source;
