//! Descriptors in and out: systemd, other programs, other libraries.
//!
//! The problem: a socket was made elsewhere, or must go on elsewhere.
//!
//! [`inherited`] returns the sockets with which the process was started. [`Stream`], [`Listener`] and
//! [`DatagramSocket`] are made from an `OwnedFd` and convert into one. [`Wire::detach`] takes a stream out
//! of its connection. Here a client's socket becomes the input and output of a program:
//!
//! ```
//! use std::io::{self, Write};
//! use std::os::fd::OwnedFd;
//! use std::process::{Command, Stdio};
//! use tripoll::net::{self, Connection, Inherited, Listener, Protocol, Stream, Wire};
//! use tripoll::reactor::sources::Child;
//! use tripoll::{Context, Reactor};
//!
//! /// Passes its client to the program `tr` when it asks for it.
//! struct Pass;
//!
//! impl Protocol for Pass {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         wire.write(b"ready\n"); // is flushed before the stream is passed on
//!         wire.detach(cx, |stream, unread, cx| {
//!             if let Err(error) = run(stream, &unread, cx) {
//!                 eprintln!("{error}");
//!             }
//!         })?;
//!         Ok(end + 1)
//!     }
//! }
//!
//! fn run(stream: Stream, unread: &[u8], cx: &mut Context) -> io::Result<()> {
//!     assert!(unread.is_empty(), "the client waits for the answer");
//!     stream.set_nonblocking(false)?; // most programs expect that
//!     let output = OwnedFd::from(stream);
//!     let input = Stdio::from(output.try_clone()?);
//!     let child = Command::new("tr").arg("a-z").arg("A-Z").stdin(input).stdout(output).spawn()?;
//!     Child::new(child)?.on(cx, |_, cx| cx.stop())?;
//!     Ok(())
//! }
//!
//! let mut reactor = Reactor::new()?;
//! let mut listener = None;
//! for (name, socket) in net::inherited()? { // systemd's `LISTEN_FDS`
//!     match socket {
//!         Inherited::Listener(inherited) if name == "web" => listener = Some(inherited),
//!         other => eprintln!("{name} is not used: {other:?}"),
//!     }
//! }
//! let listener = listener.map_or_else(|| Listener::bind("127.0.0.1:0"), Ok)?;
//! # let address = listener.local_address().to_string();
//! listener.serve(&mut reactor.context(), |stream, cx| {
//!     Connection::new(Pass).serve(stream, cx).map(drop)
//! })?;
//! # let client = std::thread::spawn(move || {
//! #     use std::io::{BufRead, BufReader, Read};
//! #     let mut stream = BufReader::new(std::net::TcpStream::connect(address)?);
//! #     stream.get_mut().write_all(b"run\n")?;
//! #     let mut text = String::new();
//! #     stream.read_line(&mut text)?;
//! #     stream.get_mut().write_all(b"hello")?;
//! #     stream.get_mut().shutdown(std::net::Shutdown::Write)?;
//! #     stream.read_to_string(&mut text)?;
//! #     io::Result::Ok(text)
//! # });
//! reactor.run()?;
//! # assert_eq!(client.join().unwrap()?, "ready\nHELLO");
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * What was received and not used comes as `unread`. Pass it on, or have the client wait for an answer,
//!   as here.
//! * `O_NONBLOCK` belongs to the open file, which all its descriptors share. A stream of a reactor is
//!   non-blocking until it is [changed](crate::net::Stream::set_nonblocking).
//! * Call [`inherited`] at the beginning of `main`, and once. It returns an empty list if the process was
//!   started by hand.
//! * The file of a Unix socket is removed by the process that has bound it. See
//!   [`Listener::set_unlink_on_drop`] before the listener is handed over.
//! * A socket of another library that reads by itself is watched by
//!   [`Context::add`](crate::Context::add), which takes anything with a descriptor.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `sock=` of `create_server`, `transport.get_extra_info("socket")` |
//! | Netty | `EpollSocketChannel(fd)`, `channel.deregister` |
//! | libevent | `evconnlistener_new`, `bufferevent_getfd` |
//! | systemd | socket activation, `sd_listen_fds` |
//! | tokio | `TcpStream::from_std`, `into_std`, the crate `listenfd` |
//!
//! [`inherited`]: crate::net::inherited
//! [`Stream`]: crate::net::Stream
//! [`Listener`]: crate::net::Listener
//! [`Listener::set_unlink_on_drop`]: crate::net::Listener::set_unlink_on_drop
//! [`DatagramSocket`]: crate::net::DatagramSocket
//! [`Wire::detach`]: crate::net::Wire::detach

#![doc(alias = "file descriptor")]
#![doc(alias = "socket activation")]
#![doc(alias = "systemd")]
#![doc(alias = "LISTEN_FDS")]
#![doc(alias = "from_std")]
