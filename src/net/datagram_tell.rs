//! Messages to the protocol of a datagram socket.

use std::io;

use super::datagram::DatagramSocket;
use super::datagram_endpoint::DatagramEndpoint;
use super::datagram_protocol::DatagramProtocol;
use super::datagram_wire::DatagramWire;
use crate::reactor::{Context, Next, Parts, Recipient, Source, Types};

/// A datagram socket that is [served](DatagramEndpoint::serve): its protocol is told something, with its
/// wire. A message to a socket that is closing is dropped.
impl<S: 'static, P: DatagramProtocol<S> + 'static> Recipient<S> for DatagramEndpoint<P> {
    type Handler = P;
    type Io<'a> = DatagramWire<'a>;

    fn is_one(types: &Types) -> bool {
        *types == Types::of::<DatagramSocket, Self>()
    }

    fn deliver(
        parts: Parts<'_>,
        cx: &mut Context<'_, S>,
        message: impl FnOnce(&mut P, &mut DatagramWire<'_>, &mut Context<'_, S>) -> io::Result<()>,
    ) -> io::Result<Next> {
        let (socket, endpoint, io) = parts.downcast::<DatagramSocket, Self>();
        endpoint.deliver(&mut Source::new(socket, io), cx, message)
    }
}
