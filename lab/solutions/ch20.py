"""Writable is the usual state."""

from loop import OUT, WRONG, Loop


class Server(Loop):
    def received(self, client, data):
        client.input += data
        for line in client.lines():
            client.output += b"x" * int(line) + b"\n"

    def wants(self, client):
        # The wrong one asks for the write interest all the time.
        return super().wants(client) | (OUT if WRONG else 0)


Server().run()
