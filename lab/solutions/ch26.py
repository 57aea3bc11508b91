"""One client wakes one loop."""

import os
import socket
import time

from loop import WRONG, Loop, address


def listener():
    """A listener that shares its port with others."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address())
    sock.listen(1024)
    sock.setblocking(False)
    return sock


class Server(Loop):
    def opened(self, client):
        client.sock.send(b"hello\n")

    def received(self, client, data):
        if data == b"sleep\n":
            time.sleep(1)
        client.output += data


door = listener()
for _ in range(3):
    if os.fork() == 0:
        if not WRONG:  # the wrong one watches the same listener in each process
            door.close()
            door = listener()
        break
Server(door).run()
