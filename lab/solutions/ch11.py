"""A short read is not the end of the data."""

import select

from loop import WRONG, Client, listener

EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
door = listener()
epoll = select.epoll()
epoll.register(door, select.EPOLLIN)
clients = {}


def serve(client):
    """Reads and writes until both would block, or the end."""
    try:
        while True:
            data = client.sock.recv(1024)
            client.output += data
            if not data:
                client.ended = True
                break
            if WRONG and len(data) < 1024:
                break  # an urgent byte or the end may be behind it
    except BlockingIOError:
        pass
    try:
        while client.output:
            del client.output[: client.sock.send(client.output)]
    except BlockingIOError:
        pass
    if client.ended and not client.output:
        close(client)


def close(client):
    epoll.unregister(client.fd)
    del clients[client.fd]
    client.sock.close()


while True:
    for fd, _ in epoll.poll():
        if fd == door.fileno():
            sock, _ = door.accept()
            sock.setblocking(False)
            clients[sock.fileno()] = Client(sock)
            epoll.register(sock, EDGE)
            continue
        try:
            serve(clients[fd])
        except OSError:
            close(clients[fd])
