"""Silence, and a request that never ends."""

import time

from loop import WRONG, Loop

SILENCE, LINE = 1, 2


class Server(Loop):
    def opened(self, client):
        client.heard, client.begun = time.monotonic(), None
        self.after(SILENCE, self.look, client)

    def received(self, client, data):
        client.heard = time.monotonic()
        client.input += data
        lines = client.lines()
        client.output += b"".join(lines)
        if lines or client.begun is None:
            client.begun = client.heard if client.input else None

    def look(self, client):
        deadline = client.heard + SILENCE
        if client.begun and not WRONG:  # the wrong one looks at the silence only
            deadline = min(deadline, client.begun + LINE)
        left = deadline - time.monotonic()
        if left > 0 and not client.gone:
            self.after(left, self.look, client)
        else:
            self.close(client)


Server().run()
