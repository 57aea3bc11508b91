//! Clients that are silent for too long, and clients that are not. On every backend and trigger
//! where the loop is what waits.

mod socketserver;

use std::io::{BufRead, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socketserver::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Concurrency, Config, Error, Exchange, Hooks, InReactor, Inline, Kind, LoopExchange,
    Outcome, Pooled, RequestHandler, Server, StreamExchange, Takes, Tcp, TcpServer, Threading,
};

const SHORT: Duration = Duration::from_millis(20);

/// What became of one client, step by step.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    fn add(&self, step: impl ToString) {
        self.0.lock().unwrap().push(step.to_string());
    }
}

impl Hooks<Arc<Stream>> for Steps {
    fn handle_error(
        &self,
        _: &BaseServer<Arc<Stream>>,
        _: &Arc<Stream>,
        _: &Address,
        error: &Error,
    ) {
        self.add(error.downcast_ref::<std::io::Error>().unwrap().kind());
    }
}

/// Hears the client to its end, and answers each piece with itself.
struct Echo(Steps);

impl RequestHandler for Echo {
    fn handle(&mut self, exchange: &mut Exchange) -> Outcome {
        loop {
            let data = exchange.request.recv(100)?;
            if data.is_empty() {
                return Ok(());
            }
            exchange.request.sendall(&data)?;
        }
    }

    fn finish(&mut self, _: &mut Exchange) -> Outcome {
        self.0.add("finish");
        Ok(())
    }
}

impl RequestHandler<LoopExchange> for Echo {
    fn handle(&mut self, exchange: &mut LoopExchange) -> Outcome {
        let data = exchange.recv(100);
        exchange.sendall(&data);
        Ok(())
    }

    fn finish(&mut self, _: &mut LoopExchange) -> Outcome {
        self.0.add("finish");
        Ok(())
    }
}

/// Has `body` talk with a server, and says what became of its client.
fn steps<C, X>(config: &Config, body: impl Fn(&Server<Tcp, C>)) -> Vec<String>
where
    C: Concurrency + Default + Takes<X>,
    X: Kind<Request = Arc<Stream>>,
    Echo: RequestHandler<X>,
{
    let steps = Steps::default();
    let for_handler = steps.clone();
    let server: Server<Tcp, C> = Server::builder(ANY)
        .config(config.clone())
        .hooks(steps.clone())
        .build(move || Echo(for_handler.clone()))
        .unwrap();
    while_serving(&server, || body(&server));
    steps.0.lock().unwrap().clone()
}

/// A client that is served once, and says nothing more.
fn falls_silent<C: Concurrency>(server: &Server<Tcp, C>) {
    let mut client = connect(&server.server_address());
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    await_end(&client);
}

#[test]
fn a_read_that_waits_for_too_long_fails() {
    let config = Config { read_timeout: Some(SHORT), ..Config::default() };
    let told = ["finish", &ErrorKind::TimedOut.to_string()];
    on_every_pair(|pair| {
        let config = Config { read_timeout: Some(SHORT), ..pair.clone() };
        assert_eq!(steps::<Inline, Exchange>(&config, falls_silent), told);
        assert_eq!(steps::<InReactor, LoopExchange>(&config, falls_silent), told);
    });
    assert_eq!(steps::<Threading, Exchange>(&config, falls_silent), told);
    assert_eq!(steps::<Pooled, Exchange>(&config, falls_silent), told);
}

#[test]
fn a_connection_that_is_idle_for_too_long_ends_and_nobody_is_told() {
    let config = Config { idle_timeout: Some(SHORT), ..Config::default() };
    on_every_pair(|pair| {
        let config = Config { idle_timeout: Some(SHORT), ..pair.clone() };
        assert_eq!(steps::<Inline, Exchange>(&config, falls_silent), ["finish"]);
        assert_eq!(steps::<InReactor, LoopExchange>(&config, falls_silent), ["finish"]);
    });
    assert_eq!(steps::<Threading, Exchange>(&config, falls_silent), ["finish"]);
    assert_eq!(steps::<Pooled, Exchange>(&config, falls_silent), ["finish"]);
}

/// A client that is heard, or spoken to, all the time, for longer than the limit. A machine that
/// stands still for so long may try again.
fn survives(limit: Duration, passes: impl Fn() -> bool) {
    let survives = || {
        let begin = Instant::now();
        while begin.elapsed() < 3 * limit {
            if !passes() {
                return false;
            }
        }
        true
    };
    assert!((0..3).any(|_| survives()));
}

#[test]
fn whoever_speaks_or_is_spoken_to_is_not_idle() {
    const LIMIT: Duration = Duration::from_millis(100);

    fn speaks<C: Concurrency>(server: &Server<Tcp, C>) {
        let client = Mutex::new(connect(&server.server_address()));
        survives(LIMIT, || {
            let mut client = client.lock().unwrap();
            let passes = client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok();
            if !passes {
                *client = connect(&server.server_address());
            }
            passes
        });
    }
    fn is_spoken_to<C: Concurrency>(server: &Server<Tcp, C>) {
        let client = Mutex::new(connect(&server.server_address()));
        survives(LIMIT, || {
            await_that("somebody is here", || !server.connections().is_empty());
            for (request, _) in server.connections() {
                let _ = server.sendall(&request, b"x");
            }
            let mut client = client.lock().unwrap();
            let passes = client.read_exact(&mut [0]).is_ok();
            if !passes {
                *client = connect(&server.server_address());
            }
            passes
        });
    }
    let config = Config {
        read_timeout: Some(Duration::from_secs(3_600)),
        idle_timeout: Some(LIMIT),
        ..Config::default()
    };
    steps::<Threading, Exchange>(&config, speaks::<Threading>);
    steps::<InReactor, LoopExchange>(&config, speaks::<InReactor>);
    steps::<Threading, Exchange>(&config, is_spoken_to::<Threading>);
    steps::<InReactor, LoopExchange>(&config, is_spoken_to::<InReactor>);
}

#[test]
fn a_client_that_takes_nothing_is_idle_too() {
    let config = Config { idle_timeout: Some(SHORT), ..Config::default() };
    fn takes_nothing<C: Concurrency>(server: &Server<Tcp, C>) {
        let client = connect(&server.server_address());
        thread::scope(|scope| {
            scope.spawn(|| {
                let bytes = vec![b'x'; 1 << 20];
                while (&client).write_all(&bytes).is_ok() {} // until it is closed
            });
            await_that("it is let go", || server.connections().is_empty());
        });
    }
    // Who waits for room learns that it was in vain; the loop waits for nobody.
    let told = ["finish", &ErrorKind::TimedOut.to_string()];
    assert_eq!(steps::<Threading, Exchange>(&config, takes_nothing), told);
    on_every_pair(|pair| {
        let config = Config { idle_timeout: Some(SHORT), ..pair.clone() };
        assert_eq!(steps::<InReactor, LoopExchange>(&config, takes_nothing), ["finish"]);
    });
}

#[test]
fn a_handler_may_say_otherwise() {
    let config = Config { read_timeout: Some(MINUTE), ..Config::default() };
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let handle = move |exchange: &mut StreamExchange| {
        exchange.connection.settimeout(Some(SHORT))?;
        let error = exchange.rfile.read_until(b'\n', &mut Vec::new()).unwrap_err();
        *tell.lock().unwrap() = Some(error.kind());
        Ok(())
    };
    let server: TcpServer = Server::builder(ANY).config(config).build_fn(handle).unwrap();
    while_serving(&server, || await_end(&connect(&server.server_address())));
    assert_eq!(*told.lock().unwrap(), Some(ErrorKind::TimedOut));
}

#[test]
fn no_time_at_all_is_refused_in_words() {
    let none = Some(Duration::ZERO);
    for config in [
        Config { read_timeout: none, ..Config::default() },
        Config { idle_timeout: none, ..Config::default() },
    ] {
        let handle = |_: &mut Exchange| Ok(());
        let refused = TcpServer::builder(ANY).config(config).build_fn(handle).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("timeout of zero"), "{refused}");
    }
}
