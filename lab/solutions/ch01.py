"""One thread waits for many clients."""

from loop import OUT, WRONG, Loop


class Server(Loop):
    def wants(self, client):
        # An idle socket is always writable: a loop that always asks for that never sleeps.
        return super().wants(client) | (OUT if WRONG else 0)


Server().run()
