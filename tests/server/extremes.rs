//! Options with the least and the greatest values. On every backend and trigger.

use std::io::{BufRead, Write};
use std::thread;
use std::time::Duration;

use support::server::*;
use tripoll::server::{
    Concurrency, HandlerResult, InReactor, Inline, LoopExchange, Pooled, RequestHandler, Server,
    ServerConfig, StreamExchange, StreamOptions, Supports, Tcp, Threading,
};

/// Answers a line with itself.
struct EchoLine(StreamOptions);

impl RequestHandler<StreamExchange> for EchoLine {
    fn options(&self) -> StreamOptions {
        self.0.clone()
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut line = String::new();
        exchange.rfile.read_line(&mut line)?;
        exchange.wfile.write_all(line.as_bytes())?;
        Ok(())
    }
}

/// Serves three clients with the greatest poll interval, and closes with the greatest grace.
fn serve_three<C: Concurrency>(server: &Server<Tcp, C>) {
    thread::scope(|scope| {
        let _stop = ShutDown(server);
        scope.spawn(|| server.serve_forever(Duration::MAX).unwrap());
        for _ in 0..3 {
            assert_eq!(ask(&server.server_address(), b"hello\n"), b"hello\n");
        }
    });
    server.server_close_within(Duration::MAX).unwrap();
}

fn stream_server<C>(config: &ServerConfig, concurrency: C, options: &StreamOptions)
where
    C: Concurrency + Default + Supports<StreamExchange>,
{
    let options = options.clone();
    let server = Server::<Tcp, C>::builder(ANY)
        .config(config.clone())
        .concurrency(concurrency)
        .build(move || EchoLine(options.clone()))
        .unwrap();
    serve_three(&server);
}

#[test]
fn a_server_takes_the_least_and_the_greatest_values() {
    on_every_config_and_noise(|pair| {
        for (count, time, size) in
            [(0, None, 0), (1, Some(Duration::MAX), isize::MIN), (u32::MAX, None, isize::MAX)]
        {
            let config = pair
                .clone()
                .request_queue_size(count)
                .requests_per_turn(count)
                .timeout(time)
                .read_timeout(time)
                .idle_timeout(time);
            let options = StreamOptions::default().rbufsize(size).wbufsize(size).timeout(time);
            let most = count as usize;
            stream_server(&config, Inline, &options);
            stream_server(&config, Threading::default().max_threads(Some(most)), &options);
            let pooled = Pooled::default().workers(most.min(2)).queue(most);
            stream_server(&config, pooled, &options);
            let in_loop = Server::<Tcp, InReactor>::builder(ANY)
                .config(config)
                .concurrency(InReactor::default().max_connections(Some(most)))
                .build_fn(move |exchange: &mut LoopExchange| {
                    exchange.set_timeout(time);
                    let data = exchange.recv(usize::MAX);
                    exchange.consume(usize::MAX);
                    exchange.sendall(&data);
                    Ok(())
                })
                .unwrap();
            serve_three(&in_loop);
        }
    });
}

#[test]
fn a_request_is_awaited_without_an_end_or_not_at_all() {
    on_every_config_and_noise(|pair| {
        for timeout in [Duration::ZERO, Duration::MAX] {
            let server = Server::<Tcp, Inline>::builder(ANY)
                .config(pair.clone().timeout(Some(timeout)))
                .build(|| EchoLine(StreamOptions::default()))
                .unwrap();
            let mut client = connect(&server.server_address());
            client.write_all(b"hello\n").unwrap();
            // Without any time, a client that is there already is served.
            server.handle_request().unwrap();
            assert_eq!(support::sockets::read_all(client), b"hello\n");
        }
    });
}
