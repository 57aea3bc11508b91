"""Inputs, outputs and message_dict, without the six bugs."""

import codecs

from loop import WRONG, Loop


class Server(Loop):
    HIGH = 4096

    def opened(self, client):
        client.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def received(self, client, data):
        for start in range(0, len(data), 1024):
            text = client.decoder.decode(data[start : start + 1024])
            client.output += (text + "好").encode()

    def finished(self, client):
        if WRONG:
            client.output += "好".encode()  # the end is not a message
        super().finished(client)


Server().run()
