"""A proxy that passes on bytes, ends and back-pressure."""

import os
import socket
import threading

from loop import WRONG, listener

host, port = os.environ["UPSTREAM"].split(":")
door = listener(blocking=True)


def copy(source, target):
    """A direction. A `sendall` that waits is back-pressure."""
    how = socket.SHUT_WR
    try:
        while data := source.recv(16 << 10):
            target.sendall(data)
        if WRONG:
            how = socket.SHUT_RDWR  # both directions, though one is over
    except OSError:
        how = socket.SHUT_RDWR
    for sock in [target] if how == socket.SHUT_WR else [source, target]:
        try:
            sock.shutdown(how)
        except OSError:
            pass  # the other direction has ended already


def serve(client):
    try:
        server = socket.create_connection((host, int(port)))
    except OSError:
        return client.close()
    other = threading.Thread(target=copy, args=(server, client))
    other.start()
    copy(client, server)
    other.join()
    client.close()
    server.close()


while True:
    threading.Thread(target=serve, args=(door.accept()[0],)).start()
