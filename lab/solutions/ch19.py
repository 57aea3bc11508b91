"""A shutdown that answers first."""

import signal
import socket
import sys

from loop import IN, WRONG, Loop


class Server(Loop):
    stopping = False

    def opened(self, client):
        client.slow = 0

    def received(self, client, data):
        client.input += data
        for line in client.lines():
            if line == b"slow\n":
                client.slow += 1
                self.after(0.5, self.done, client)
            else:
                client.output += line

    def done(self, client):
        if not client.gone:
            client.slow -= 1
            client.output += b"done\n"
            client.closing = client.closing or self.stopping and not client.slow
            self.update(client)

    def run(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        if not WRONG:
            signal.signal(signal.SIGTERM, lambda *_: None)
            signal.set_wakeup_fd(theirs.fileno())  # the signal becomes an event
            self.poll.register(ours, IN)
        while not self.stopping or self.clients:
            self.turn()
            try:
                self.stopping = self.stopping or bool(ours.recv(64))
            except BlockingIOError:
                continue
            self.accepting = False
            for client in list(self.clients.values()):
                client.closing = not client.slow
                self.update(client)
        sys.exit(0)


Server().run()
