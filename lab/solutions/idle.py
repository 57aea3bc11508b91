"""Two hundred connections, and the idle ones are closed: a timing wheel."""

from collections import deque

from loop import WRONG, Loop

TICK, BUCKETS = 0.2, 7


class Server(Loop):
    def __init__(self):
        super().__init__()
        # A client is in the bucket of its last byte, and perhaps in older ones.
        self.wheel = deque(set() for _ in range(BUCKETS))
        self.ticking = False

    def opened(self, client):
        self.heard(client)

    def received(self, client, data):
        super().received(client, data)
        if not WRONG:  # the wrong one counts from the beginning
            self.heard(client)

    def heard(self, client):
        client.bucket = self.wheel[-1]
        client.bucket.add(client)
        if not self.ticking:
            self.ticking = True
            self.after(TICK, self.tick)

    def tick(self):
        oldest = self.wheel.popleft()
        self.wheel.append(set())
        for client in oldest:
            if client.bucket is oldest:
                self.close(client)
        self.ticking = bool(self.clients)
        if self.ticking:
            self.after(TICK, self.tick)


Server().run()
