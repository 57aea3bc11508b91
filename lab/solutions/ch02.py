"""A client that nothing is wanted of."""

from loop import WRONG, Loop


class Server(Loop):
    def received(self, client, data):
        client.input += data
        for line in client.lines():
            if line == b"wait\n":
                client.paused = True
                self.after(1, self.done, client)
            else:
                client.output += line

    def done(self, client):
        client.paused = False
        if not client.gone:
            client.output += b"done\n"
            self.update(client)

    def ready(self, client, events):
        if not client.paused:
            super().ready(client, events)

    def watch(self, fd, events):
        client = self.clients.get(fd)
        if WRONG and client and client.paused:
            self.poll.register(fd, 0)  # a hang-up is reported all the same
        else:
            super().watch(fd, events)


Server().run()
