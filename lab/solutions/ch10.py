"""A number is not a client."""

from loop import WRONG, Loop


class Server(Loop):
    inputs = {}  # by number, in the wrong one

    def received(self, client, data):
        if WRONG:
            client.input = self.inputs.setdefault(client.fd, bytearray())
        client.input += data
        for line in client.lines():
            self.after(0.3, self.answer, client, line)

    def answer(self, client, line):
        if WRONG:
            client = self.clients.get(client.fd, client)  # may be another one by now
        if not client.gone:
            client.output += line
            self.update(client)


Server().run()
