"""A long calculation in short pieces."""

from loop import WRONG, Loop

PIECE = 1 << 62 if WRONG else 5_000


class Server(Loop):
    def received(self, client, data):
        client.input += data
        for line in client.lines():
            if line.strip().isdigit():
                self.calculate(client, 1, int(line))
            else:
                client.output += line

    def calculate(self, client, x, steps):
        if client.gone:
            return
        now = min(steps, PIECE)
        for _ in range(now):
            x = (x * 1103515245 + 12345) % 2147483648
        if steps > now:
            self.after(0.0002, self.calculate, client, x, steps - now)  # the loop turns in between
        else:
            client.output += b"%d\n" % x
            self.update(client)


Server().run()
