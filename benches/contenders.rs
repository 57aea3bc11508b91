//! The contenders of the groups over pipes.

use tripoll::Backend;
use tripoll_lab::workload::{Contender, Layer, Peer};

/// Returns the contenders of `compare`, and the crate `polling` where it is compiled in (`--features
/// peers`).
pub fn contenders() -> Vec<Contender> {
    let layer = Layer::Peer(Peer::Polling);
    let polling = Contender { layer, backend: Backend::Epoll, trigger: Peer::Polling.trigger() };
    let polling = Some(polling).filter(|one| one.check().is_ok());
    Contender::all().into_iter().chain(polling).collect()
}
