"""Ready is not enough, it must be wanted."""

from loop import IN, WRONG, Loop


class Server(Loop):
    def opened(self, client):
        client.waits = []

    def received(self, client, data):
        client.input += data
        client.waits += client.lines()
        self.next(client)

    def next(self, client):
        if client.gone or client.paused:
            return
        if client.waits:
            client.output += client.waits.pop(0)
            client.paused = True
            self.after(0.1, self.go_on, client)
        self.update(client)

    def go_on(self, client):
        client.paused = False
        self.next(client)

    def wants(self, client):
        events = super().wants(client)
        if client.waits and not WRONG:
            events &= ~IN
        return events | IN if WRONG else events

    def ready(self, client, events):
        # The wrong one asks for input that it does not read.
        if events & IN and (client.paused or client.waits):
            return
        super().ready(client, events)


Server().run()
