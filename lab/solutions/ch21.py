"""No read and no write may wait."""

import select

from loop import WRONG, Client, listener

EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
door = listener()
epoll = select.epoll()
epoll.register(door, select.EPOLLIN)
clients = {}


def write(client):
    try:
        while client.output:
            del client.output[: client.sock.send(client.output)]
    except BlockingIOError:
        pass


def serve(client):
    """Reads until there is no more."""
    try:
        while not client.ended:
            data = client.sock.recv(64 << 10)
            client.output += data
            client.ended = not data
            write(client)
    except BlockingIOError:
        pass
    write(client)
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
            sock.setblocking(WRONG)
            clients[sock.fileno()] = Client(sock)
            epoll.register(sock, EDGE)
            continue
        try:
            serve(clients[fd])
        except OSError:
            close(clients[fd])
