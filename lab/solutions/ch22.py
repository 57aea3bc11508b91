"""A client that has finished still reads."""

from loop import WRONG, Loop


class Server(Loop):
    def opened(self, client):
        client.count = 0

    def received(self, client, data):
        client.count += len(data)

    def finished(self, client):
        if not WRONG:
            client.output += b"%d\n" % client.count
        client.closing = True  # the wrong one takes the end for a client that is gone


Server().run()
