"""A helper program inherits nothing."""

import subprocess
import threading

from loop import WRONG, Loop


class Server(Loop):
    def opened(self, client):
        client.sock.set_inheritable(WRONG)  # as `accept` in C does

    def received(self, client, data):
        client.input += data
        for line in client.lines():
            if line == b"run\n":
                helper = subprocess.Popen(["sleep", "4"], close_fds=not WRONG)
                threading.Thread(target=helper.wait).start()
                client.output += b"started\n"
            else:
                client.output += line
                client.closing = client.closing or line == b"bye\n"


Server().run()
