//! Clients that are silent for too long, and clients that are not. On every backend and trigger
//! where the loop is what waits.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tripoll::server::PythonSocket;

use support::server::*;
use support::*;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Cause, Concurrency, Exchange, ExchangeKind, HandlerError, HandlerResult, Hooks,
    InReactor, Inline, LoopExchange, Pooled, ReactorTcpServer, RequestHandler, Server,
    ServerConfig, StreamExchange, StreamOptions, Supports, Tcp, TcpServer, Threading,
    ThreadingTcpServer,
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
        error: &HandlerError,
    ) {
        self.add(error.downcast_ref::<std::io::Error>().unwrap().kind());
    }
}

/// Hears the client to its end, and answers each piece with itself.
struct Echo(Steps);

impl RequestHandler for Echo {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        loop {
            let data = exchange.request.recv(100)?;
            if data.is_empty() {
                return Ok(());
            }
            exchange.request.sendall(&data)?;
        }
    }

    fn finish(&mut self, _: &mut Exchange) -> HandlerResult {
        self.0.add("finish");
        Ok(())
    }
}

impl RequestHandler<LoopExchange> for Echo {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        let data = exchange.recv(100);
        exchange.sendall(&data);
        Ok(())
    }

    fn finish(&mut self, _: &mut LoopExchange) -> HandlerResult {
        self.0.add("finish");
        Ok(())
    }
}

/// Has `body` talk with a server, and says what became of its client.
fn steps<C, X>(config: &ServerConfig, body: impl Fn(&Server<Tcp, C>)) -> Vec<String>
where
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = Arc<Stream>>,
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
    let config = ServerConfig::default().read_timeout(Some(SHORT));
    let told = ["finish", &ErrorKind::TimedOut.to_string()];
    on_every_config_and_noise(|pair| {
        let config = pair.clone().read_timeout(Some(SHORT));
        assert_eq!(steps::<Inline, Exchange>(&config, falls_silent), told);
        assert_eq!(steps::<InReactor, LoopExchange>(&config, falls_silent), told);
    });
    assert_eq!(steps::<Threading, Exchange>(&config, falls_silent), told);
    assert_eq!(steps::<Pooled, Exchange>(&config, falls_silent), told);
}

#[test]
fn a_connection_that_is_idle_for_too_long_ends_without_a_report() {
    let config = ServerConfig::default().idle_timeout(Some(SHORT));
    on_every_config_and_noise(|pair| {
        let config = pair.clone().idle_timeout(Some(SHORT));
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
fn a_connection_with_data_in_either_direction_is_not_idle() {
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
    let config = ServerConfig::default()
        .read_timeout(Some(Duration::from_secs(3_600)))
        .idle_timeout(Some(LIMIT));
    steps::<Threading, Exchange>(&config, speaks::<Threading>);
    steps::<InReactor, LoopExchange>(&config, speaks::<InReactor>);
    steps::<Threading, Exchange>(&config, is_spoken_to::<Threading>);
    steps::<InReactor, LoopExchange>(&config, is_spoken_to::<InReactor>);
}

#[test]
fn a_client_that_takes_nothing_is_idle_too() {
    let config = ServerConfig::default().idle_timeout(Some(SHORT));
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
    let told = ["finish", &ErrorKind::TimedOut.to_string()];
    assert_eq!(steps::<Threading, Exchange>(&config, takes_nothing), told);
    on_every_config_and_noise(|pair| {
        let config = pair.clone().idle_timeout(Some(SHORT));
        assert_eq!(steps::<InReactor, LoopExchange>(&config, takes_nothing), told);
    });
}

#[test]
fn a_handler_that_tries_again_and_again_does_not_hide_an_idle_client() {
    let config = ServerConfig::default().idle_timeout(Some(8 * SHORT));
    let tries = Arc::new(Mutex::new(0));
    let count = Arc::clone(&tries);
    let handle = move |exchange: &mut Exchange| {
        exchange.request.settimeout(Some(SHORT))?;
        loop {
            match exchange.request.recv(1) {
                Ok(data) => return if data.is_empty() { Ok(()) } else { Err("data".into()) },
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
            *count.lock().unwrap() += 1;
        }
    };
    let server: TcpServer = Server::builder(ANY).config(config).build_fn(handle).unwrap();
    while_serving(&server, || await_end(&connect(&server.server_address())));
    let tries = *tries.lock().unwrap();
    assert!(tries <= 8, "{tries} tries"); // fewer on a machine that stood still
}

#[test]
fn a_client_that_takes_a_long_answer_slowly_is_not_idle() {
    const ANSWER: usize = 64 << 20;
    // One thread sends, in one piece; another waits for the client's next word.
    let handle = |exchange: &mut Exchange| {
        let request = Arc::clone(&exchange.request);
        let sending = thread::spawn(move || request.sendall(&vec![b'x'; ANSWER]));
        let heard = exchange.request.recv(1)?;
        let _ = sending.join().unwrap(); // if it was cut off, the client sees that
        exchange.request.sendall(&heard)?;
        Ok(())
    };
    let takes_it_slowly = |address: Address, limit: Duration| {
        let mut client = connect(&address);
        let mut answer = vec![0; ANSWER];
        let (begin, whole) = (Instant::now(), 4 * limit);
        for (number, piece) in answer.chunks_mut(ANSWER / 64).enumerate() {
            client.read_exact(piece)?;
            let due = whole * u32::try_from(number).unwrap() / 64;
            thread::sleep(due.saturating_sub(begin.elapsed())); // slow is what is to be shown
        }
        client.write_all(b"!")?;
        let mut last = String::new();
        client.read_to_string(&mut last)?;
        std::io::Result::Ok(last)
    };
    // A busy machine may let this client stand still for a short limit, and is given a longer one.
    let is_served = [300, 2_000, 10_000].map(Duration::from_millis).into_iter().any(|limit| {
        let config = ServerConfig::default().idle_timeout(Some(limit));
        let builder = ThreadingTcpServer::builder(ANY).config(config).hooks(Steps::default());
        let server = builder.build_fn(handle).unwrap();
        let mut last = None;
        while_serving(&server, || last = takes_it_slowly(server.server_address(), limit).ok());
        last.is_some_and(|last| last == "!")
    });
    assert!(is_served, "it is taken for idle");
}

#[test]
fn a_client_that_takes_nothing_is_idle_however_often_it_is_sent_something() {
    let config = ServerConfig::default().idle_timeout(Some(5 * SHORT));
    let hears = |exchange: &mut Exchange| {
        while !exchange.request.recv(100)?.is_empty() {}
        Ok(())
    };
    let server = ThreadingTcpServer::builder(ANY).config(config).build_fn(hears).unwrap();
    while_serving(&server, || {
        let _takes_nothing = connect(&server.server_address());
        await_that("it is served", || !server.connections().is_empty());
        let word = vec![b'x'; 1 << 20];
        let give_up = Instant::now() + LONG;
        while !server.connections().is_empty() {
            assert!(Instant::now() < give_up, "it is kept");
            for (request, _) in server.connections() {
                let _ = server.sendall(&request, &word);
            }
        }
    });
}

#[test]
fn a_buffered_write_that_times_out_repeats_nothing() {
    /// More than the kernel keeps for a client that reads nothing: a page for each number.
    const PAGES: u32 = 4 << 10;
    const PAGE: usize = 4 << 10;
    struct Counting(mpsc::Sender<ErrorKind>);
    impl RequestHandler<StreamExchange> for Counting {
        fn options(&self) -> StreamOptions {
            let size = PAGES as isize * PAGE as isize;
            StreamOptions::default().wbufsize(size).timeout(Some(5 * SHORT))
        }

        fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
            for number in 0..PAGES {
                exchange.wfile.write_all(&number.to_be_bytes().repeat(PAGE / 4))?;
            }
            let late = exchange.wfile.flush().unwrap_err();
            exchange.connection.settimeout(None)?; // what is left is sent in the end
            self.0.send(late.kind())?;
            Ok(())
        }
    }
    let (tell, told) = mpsc::channel();
    let server = ThreadingTcpServer::new(ANY, move || Counting(tell.clone())).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        // Until then it reads nothing.
        assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::TimedOut);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), PAGES as usize * PAGE);
        let numbers = all.chunks_exact(4).map(|x| u32::from_be_bytes(x.try_into().unwrap()));
        let expected = (0..PAGES).flat_map(|number| [number; PAGE / 4]);
        assert!(numbers.eq(expected), "a part came twice, or not at all");
    });
}

#[test]
fn in_the_loop_the_last_words_are_heard_whatever_is_over() {
    struct Last;
    impl RequestHandler<LoopExchange> for Last {
        fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            if exchange.cause() == Cause::Ended {
                let rest = exchange.recv(100);
                exchange.sendall(&rest);
            }
            Ok(())
        }
        fn finish(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
            exchange.sendall(b"bye");
            Ok(())
        }
    }
    let over = |config: ServerConfig| {
        let server = ReactorTcpServer::builder(ANY)
            .config(config)
            .hooks(Steps::default())
            .build(|| Last)
            .unwrap();
        while_serving(&server, || {
            let mut client = connect(&server.server_address());
            client.write_all(b"rest").unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            said
        })
    };
    on_every_config_and_noise(|pair| {
        assert_eq!(over(pair.clone().read_timeout(Some(SHORT))), "bye");
        assert_eq!(over(pair.clone().idle_timeout(Some(SHORT))), "restbye");
    });
}

#[test]
fn a_stream_takes_no_timeout_of_zero_and_rounds_up_what_is_too_short() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let handle = move |exchange: &mut Exchange| {
        let zero = exchange.request.settimeout(Some(Duration::ZERO)).unwrap_err();
        exchange.request.settimeout(Some(Duration::from_nanos(1)))?;
        let late = exchange.request.recv(1).unwrap_err();
        tell.lock().unwrap().extend([zero.kind(), late.kind()]);
        Ok(())
    };
    let server = TcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || await_end(&connect(&server.server_address())));
    assert_eq!(*told.lock().unwrap(), [ErrorKind::InvalidInput, ErrorKind::TimedOut]);
}

#[test]
fn what_is_sent_whole_arrives_whole_beside_other_senders() {
    const PIECE: usize = 1 << 20;
    let handle = |exchange: &mut StreamExchange| {
        let others: Vec<_> = (b'a'..=b'c')
            .map(|letter| {
                let (server, client) =
                    (Arc::clone(&exchange.server), Arc::clone(&exchange.connection));
                thread::spawn(move || server.sendall(&client, &vec![letter; PIECE]))
            })
            .collect();
        exchange.wfile.write_all(&vec![b'd'; PIECE])?;
        others.into_iter().try_for_each(|other| other.join().unwrap())?;
        Ok(())
    };
    let server = ThreadingTcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let all = ask(&server.server_address(), b"");
        assert_eq!(all.len(), 4 * PIECE);
        let changes = all.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 3);
    });
}

#[test]
fn a_client_that_is_being_closed_collects_nothing() {
    // Far more than may be kept for it, and it reads none of it.
    const WORD: &[u8] = &[b'x'; 1 << 20];
    let handle = |exchange: &mut LoopExchange| {
        exchange.sendall(&[b'x'; 8 << 20]);
        exchange.close();
        Ok(())
    };
    let server = ReactorTcpServer::from_fn(ANY, handle).unwrap();
    while_serving(&server, || {
        let mut client = connect(&server.server_address());
        client.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let before = resident();
        for _ in 0..600 {
            for (request, _) in server.connections() {
                server.sendall(&request, WORD).unwrap();
            }
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 400 << 20, "{grown} bytes more"); // other tests need some too
    });
}

/// How much memory this process has, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn a_handler_may_set_another_timeout() {
    let config = ServerConfig::default().read_timeout(Some(MINUTE));
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
fn a_timeout_of_zero_is_refused() {
    let none = Some(Duration::ZERO);
    for config in
        [ServerConfig::default().read_timeout(none), ServerConfig::default().idle_timeout(none)]
    {
        let handle = |_: &mut Exchange| Ok(());
        let refused = TcpServer::builder(ANY).config(config).build_fn(handle).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("timeout is zero"), "{refused}");
    }
}
