"""Writable is not connected."""

import select
import socket
import sys
import time

WRONG = "wrong" in sys.argv[1:]
poll, sockets = select.poll(), {}
for text in sys.argv[2:]:
    host, port = text.split(":")
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex((host, int(port)))  # it has begun
    poll.register(sock, select.POLLOUT)
    sockets[sock.fileno()] = (text, sock)

end = time.monotonic() + 1
while sockets and (left := end - time.monotonic()) > 0:
    for fd, _ in poll.poll(left * 1000):
        text, sock = sockets.pop(fd)
        poll.unregister(fd)
        # The wrong one takes writable for connected.
        error = 0 if WRONG else sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        print(text, "refused" if error else "connected")
        try:
            sock.send(b"hello")
        except OSError:
            pass
        sock.close()
for text, _ in sockets.values():
    print(text, "timed out")
