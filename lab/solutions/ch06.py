"""One list, and a short answer to each piece."""

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
        if WRONG:
            client.sock.setblocking(True)
            client.sock.sendall(client.output)  # waits for a client that does not read
            client.output.clear()


Server().run()
