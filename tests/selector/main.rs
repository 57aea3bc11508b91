//! What every selector promises.

mod closed;
mod contract;
mod descriptors;
mod events;
mod model;
mod open;
mod refused_calls;
mod waits;
