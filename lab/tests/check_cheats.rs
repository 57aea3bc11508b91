//! `tripoll check` is not deceived: programs that do nearly what an exercise asks for are wrong.
//!
//! They are in Python, and short: each is the loop of the solutions with another mistake.

use std::path::Path;
use std::process::Command;

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

/// Checks each program. `sentences` are parts of what is said to be wrong.
fn are_wrong(name: &str, common: &str, cheats: &[(&str, &str)]) {
    let version = Command::new("python3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return eprintln!("python3 is missing: this test is skipped");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("solutions");
    for (program, sentence) in cheats {
        let program = format!("{common}\n{program}\n");
        let output = Command::new(TRIPOLL)
            .args(["check", name, "--", "python3", "-c", &program, "cheat"])
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{program}\n{output:?}");
        let line = report.lines().find(|line| line.contains("WRONG")).expect(&report);
        assert!(line.contains(sentence), "{program}\n{line}");
    }
}

#[test]
fn cheats_at_the_ends_of_conversations() {
    let common = "\
import os, socket, socketserver, threading, time
from loop import Loop, address, listener
class Counts(Loop):
    def opened(self, client): client.count = 0
    def received(self, client, data): client.count += len(data)
    def finished(self, client):
        client.output += b'%d\\n' % client.count
        client.closing = True
";
    are_wrong(
        "22",
        common,
        &[
            (
                // Counts the last piece only.
                "class Server(Counts):\n    def received(self, client, data): client.count = len(data)\nServer().run()",
                "expected that ann gets \"5\\n\"",
            ),
            (
                // Answers each piece, and does not wait for the end.
                "class Server(Counts):\n    def received(self, client, data):\n        client.count += len(data)\n        client.output += b'%d\\n' % client.count\nServer().run()",
                "expected that ann gets nothing yet",
            ),
            (
                // Never closes a client.
                "class Server(Counts):\n    def finished(self, client):\n        client.output += b'%d\\n' % client.count\nServer().run()",
                "reads the end of the stream",
            ),
            (
                // Says the end, and keeps the descriptor.
                "kept = []\nclass Server(Counts):\n    def closed(self, client): pass\n    def close(self, client):\n        kept.append(client.sock.dup())\n        try: client.closing and client.sock.shutdown(socket.SHUT_WR)\n        except OSError: pass\n        super().close(client)\nServer().run()",
                "as many open descriptors as before",
            ),
            (
                // One client after the other.
                "door = listener(blocking=True)\nwhile True:\n    sock, _ = door.accept()\n    count = 0\n    try:\n        while data := sock.recv(1 << 16): count += len(data)\n        sock.sendall(b'%d\\n' % count)\n    except OSError: pass\n    sock.close()",
                "nothing for 3 s",
            ),
            (
                // A reset ends the server.
                "class Server(Counts):\n    def close(self, client):\n        if not client.closing: os._exit(3)\n        super().close(client)\nServer().run()",
                "exit status: 3",
            ),
        ],
    );
}

#[test]
fn cheats_with_workers() {
    let common = "\
import socket, socketserver, threading, time
from loop import IN, Loop, address, listener
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
class Lines(Loop):
    def received(self, client, data):
        client.input += data
        for line in client.lines(): self.line(client, line)
    def reply(self, client, line):
        client = self.clients.get(client.fd, client)
        client.output += line
        self.update(client)
";
    are_wrong(
        "24",
        common,
        &[
            (
                // Does not wait at all.
                "class Server(Lines):\n    def line(self, client, line): client.output += line\nServer().run()",
                "that ann's line waits 300 ms",
            ),
            (
                // Waits in the loop, beside a thread that does nothing.
                "class Server(Lines):\n    def line(self, client, line):\n        if line.startswith(b'slow'): time.sleep(0.3)\n        client.output += line\nServer().run()",
                "that ann's line waits 300 ms",
            ),
            (
                // Gives the answer to whatever client has the number now.
                "class Server(Lines):\n    def opened(self, client): client.last = 0\n    def line(self, client, line):\n        now = time.monotonic()\n        client.last = max(client.last + 0.01, now + 0.3 * line.startswith(b'slow'))\n        if client.last > now: self.after(client.last - now, self.reply, client, line)\n        else: client.output += line\nServer().run()",
                "dora, who has the number of cy, gets nothing yet",
            ),
            (
                // A thread for each client.
                "class Handler(socketserver.StreamRequestHandler):\n    def handle(self):\n        for line in self.rfile:\n            if line.startswith(b'slow'): time.sleep(0.3)\n            self.wfile.write(line)\nclass Server(socketserver.ThreadingTCPServer):\n    allow_reuse_address = daemon_threads = True\n    request_queue_size = 64\n    def handle_error(self, *_): pass\nServer(address(), Handler).serve_forever()",
                "at most sixteen threads",
            ),
            (
                // A single worker, for which all wait.
                "class Server(Lines):\n    free = 0\n    def opened(self, client): client.last = 0\n    def line(self, client, line):\n        now = time.monotonic()\n        if line.startswith(b'slow'): Server.free = client.last = max(Server.free, now) + 0.3\n        client.last += 0.01\n        wait = max(0, client.last - now)\n        if wait: self.after(wait, lambda: client.gone or self.reply(client, line))\n        else: client.output += line\nServer().run()",
                "that thirty slow lines do not wait for each other",
            ),
        ],
    );
}

#[test]
fn cheats_with_time() {
    let common = "\
import select, time
from loop import Loop
class Lines(Loop):
    silence, line = 1, 2
    def opened(self, client):
        client.heard, client.begun = time.monotonic(), None
        self.after(0.2, self.look, client)
    def received(self, client, data):
        client.heard = time.monotonic()
        client.input += data
        lines = client.lines()
        client.output += b''.join(lines)
        if lines or client.begun is None: client.begun = client.heard if client.input else None
    def look(self, client):
        now = time.monotonic()
        if now > client.heard + self.silence or client.begun and now > client.begun + self.line:
            self.close(client)
        elif not client.gone: self.after(0.2, self.look, client)
";
    are_wrong(
        "30",
        common,
        &[
            (
                // Closes each client two seconds after it has come.
                "class Server(Lines):\n    def received(self, client, data):\n        super().received(client, data)\n        client.begun = None\n    def opened(self, client): self.after(2, self.close, client)\nServer().run()",
                "he sends a line each 0.3 s",
            ),
            (
                // Waits for two seconds of silence.
                "Lines.silence = 2.5\nLines().run()",
                "that bob, who is silent now, is closed after a second",
            ),
            (
                // Sends halves of lines back.
                "class Server(Lines):\n    def received(self, client, data):\n        super().received(client, data)\n        client.output[:] = data\nServer().run()",
                "that only complete lines come back",
            ),
            (
                // Looks at the clock all the time.
                "class Server(Lines):\n    def turn(self):\n        self.after(0.005, int)\n        super().turn()\nServer().run()",
                "that the server sleeps while fifty clients are silent",
            ),
            (
                // Closes nobody.
                "class Server(Lines):\n    def look(self, client): pass\nServer().run()",
                "no line end, is closed after 2 s, seen: no end",
            ),
        ],
    );
}

#[test]
fn cheats_with_processes_and_threads() {
    are_wrong(
        "18",
        "import os\nfrom loop import listener\n",
        &[(
            // A process for each client, which closes the listener: it is counted all the same.
            "door = listener(blocking=True)\nwhile True:\n    sock, _ = door.accept()\n    if os.fork() == 0:\n        door.close()\n        sock.sendall(b'hello\\n')\n        for number, line in enumerate(sock.makefile('rb'), 1): sock.sendall(b'%d: %s' % (number, line))\n        os._exit(0)\n    sock.close()",
            "at most eight threads of workers",
        )],
    );
    are_wrong(
        "27",
        "import threading, time\nfrom loop import listener\n",
        &[(
            // Each of sixteen threads waits for one client.
            "door = listener(blocking=True)\ndef work():\n    while True:\n        sock, _ = door.accept()\n        try:\n            while data := sock.recv(1024):\n                time.sleep(sum(int(chr(byte)) for byte in data if chr(byte).isdigit()) / 100)\n                sock.sendall(data)\n        except OSError: pass\n        sock.close()\nfor _ in range(15): threading.Thread(target=work).start()\nwork()",
            "24 silent clients came before",
        )],
    );
    are_wrong(
        "33",
        "import fcntl, os, select, signal\nfrom loop import Loop\n",
        &[(
            // O_ASYNC for show, and a poll below it.
            "signal.signal(signal.SIGIO, signal.SIG_IGN)\nclass Server(Loop):\n    def __init__(self):\n        super().__init__()\n        self.show(self.listener)\n    def show(self, sock):\n        fcntl.fcntl(sock, fcntl.F_SETOWN, os.getpid())\n        fcntl.fcntl(sock, fcntl.F_SETFL, fcntl.fcntl(sock, fcntl.F_GETFL) | os.O_ASYNC)\n    def opened(self, client): self.show(client.sock)\n    def received(self, client, data): client.output += data.upper()\nServer().run()",
            "a wait for signals only",
        )],
    );
}
