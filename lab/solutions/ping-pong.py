"""Ping-pong: every byte comes back."""

from loop import WRONG, Loop


class Server(Loop):
    def received(self, client, data):
        if WRONG:
            client.sock.send(data)  # what is not taken is lost
        else:
            client.output += data


Server().run()
