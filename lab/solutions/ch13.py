"""A deadline that moves with every byte."""

import time

from loop import WRONG, Loop

SILENCE = 1


class Server(Loop):
    def opened(self, client):
        client.deadline = time.monotonic() + SILENCE
        self.after(SILENCE, self.look, client)

    def received(self, client, data):
        super().received(client, data)
        if not WRONG:
            client.deadline = time.monotonic() + SILENCE  # the timer stays where it is

    def look(self, client):
        left = client.deadline - time.monotonic()
        if left > 0 and not client.gone:
            self.after(left, self.look, client)
        else:
            self.close(client)


Server().run()
