//! A client in the loop whose output cannot be delivered whole is reset, also while it reads: an end would
//! look as if that were all. On every backend and trigger.

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use support::server::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, HandlerError, HandlerResult, Hooks, InReactor, LoopExchange, ReactorTcpServer,
};

/// Shuts a request down, and then gives its client time to see that.
struct Slow(Mutex<mpsc::Receiver<ErrorKind>>, mpsc::Sender<ErrorKind>);

impl Hooks<Arc<Stream>> for Slow {
    fn shutdown_request(&self, server: &BaseServer<Arc<Stream>>, request: &Arc<Stream>) {
        server.shutdown_request(request);
        // An end would come at once, and a reset when the stream is closed.
        let early = self.0.lock().unwrap().recv_timeout(Duration::from_millis(50));
        early.into_iter().for_each(|early| self.1.send(early).unwrap());
    }

    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &HandlerError,
    ) {
        let kind = error.downcast_ref::<std::io::Error>().unwrap().kind();
        assert_eq!(kind, ErrorKind::StorageFull);
    }
}

#[test]
fn a_client_that_reads_is_reset_when_the_rest_of_its_answer_is_dropped() {
    const ANSWER: usize = 24 << 20;
    let handle = |exchange: &mut LoopExchange| -> HandlerResult {
        exchange.consume(usize::MAX);
        exchange.sendall(&vec![b'x'; ANSWER]);
        Ok(())
    };
    on_every_config(|config| {
        let (tell, told) = mpsc::channel();
        let (tell_early, told_early) = mpsc::channel();
        let server = ReactorTcpServer::builder(ANY)
            .config(config.clone())
            .concurrency(InReactor::default().max_unsent(Some(1 << 20)))
            .hooks(Slow(Mutex::new(told), tell_early))
            .build_fn(handle)
            .unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"much").unwrap();
            let reader = thread::spawn(move || {
                let end = client.read_exact(&mut vec![0; ANSWER]).unwrap_err();
                let _ = tell.send(end.kind());
                end.kind()
            });
            assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset);
        });
        assert!(told_early.try_recv().is_err());
    });
}
