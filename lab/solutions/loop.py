"""A server with one loop over poll, for the solutions of the exercises.

A solution changes what it must, and has its mistake behind `if WRONG`:
`python3 ch01.py right --listen 127.0.0.1:8001`, or `wrong`.
"""

import heapq
import itertools
import select
import socket
import sys
import time

WRONG = "wrong" in sys.argv[1:]
IN, OUT = select.POLLIN, select.POLLOUT


def address():
    host, port = sys.argv[sys.argv.index("--listen") + 1].rsplit(":", 1)
    return host, int(port)


def listener(at=None, blocking=False):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(at or address())
    sock.listen(1024)
    sock.setblocking(blocking)
    return sock


class Client:
    def __init__(self, sock):
        self.sock, self.fd = sock, sock.fileno()
        self.input, self.output = bytearray(), bytearray()
        self.ended = self.paused = self.closing = self.gone = False

    def lines(self):
        """Takes the complete lines from the input, with their ends."""
        *lines, rest = bytes(self.input).split(b"\n")
        self.input[:] = rest
        return [line + b"\n" for line in lines]


class Loop:
    HIGH = 64 << 10  # above this the client is not read

    def __init__(self, door=None):
        self.listener = door or listener()
        self.clients = {}
        self.timers, self.order = [], itertools.count()
        self.poll = select.poll()
        self.accepting = True

    # What a solution changes.

    def opened(self, client):
        pass

    def received(self, client, data):
        client.output += data

    def finished(self, client):
        """The client sends no more."""
        client.closing = True

    def closed(self, client):
        pass

    def wants(self, client):
        events = 0
        if not (client.ended or client.paused) and len(client.output) < self.HIGH:
            events |= IN
        return events | OUT if client.output else events

    # The loop.

    def after(self, seconds, call, *arguments):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), call, arguments))

    def run(self):
        while True:
            self.turn()

    def turn(self):
        timeout = None
        if self.timers:
            timeout = max(0, self.timers[0][0] - time.monotonic()) * 1000 + 1
        self.watch(self.listener.fileno(), IN if self.accepting else 0)
        for fd, events in self.poll.poll(timeout):
            if fd == self.listener.fileno():
                self.accept()
            elif fd in self.clients:
                self.ready(self.clients[fd], events)
        while self.timers and self.timers[0][0] <= time.monotonic():
            _, _, call, arguments = heapq.heappop(self.timers)
            call(*arguments)

    def watch(self, fd, events):
        if events:
            self.poll.register(fd, events)
        else:
            try:
                self.poll.unregister(fd)
            except KeyError:
                pass

    def accept(self):
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        client = self.clients[sock.fileno()] = Client(sock)
        self.opened(client)
        self.update(client)

    def ready(self, client, events):
        try:
            if events & OUT:
                self.write(client)
            if events & ~OUT and not client.ended:
                data = client.sock.recv(16 << 10)
                if data:
                    self.received(client, data)
                else:
                    client.ended = True
                    self.finished(client)
            self.write(client)
        except BlockingIOError:
            pass
        except OSError:
            return self.close(client)
        self.update(client)

    def write(self, client):
        while client.output:
            del client.output[: client.sock.send(client.output)]

    def update(self, client):
        """To be called after each change of the client's output or state."""
        if client.gone:
            return
        if client.closing and not client.output:
            return self.close(client)
        self.watch(client.fd, self.wants(client))

    def close(self, client):
        if not client.gone:
            client.gone = True
            self.watch(client.fd, 0)
            del self.clients[client.fd]
            client.sock.close()
            self.closed(client)
