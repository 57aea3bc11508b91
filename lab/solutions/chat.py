"""A chat room with messages of any length."""

import struct

from loop import WRONG, Loop

LONGEST, MOST = 65_536, 4 << 20


class Server(Loop):
    def received(self, client, data):
        if WRONG:
            return self.say(data)  # halves of messages, too
        client.input += data
        while len(client.input) >= 4:
            (length,) = struct.unpack(">I", client.input[:4])
            if length > LONGEST:
                client.output.clear()
                client.closing = True
                return
            if len(client.input) < 4 + length:
                return
            self.say(client.input[: 4 + length])
            del client.input[: 4 + length]

    def say(self, message):
        for client in list(self.clients.values()):
            client.output += message
            try:
                self.write(client)
            except BlockingIOError:
                pass
            except OSError:
                self.close(client)
            if len(client.output) > MOST:
                self.close(client)
            self.update(client)


Server().run()
