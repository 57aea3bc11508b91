"""An edge is not wasted."""

import select

from loop import WRONG, Client, listener

EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
door = listener()
epoll = select.epoll()
epoll.register(door, select.EPOLLIN | select.EPOLLET)
clients = {}


def accept():
    while True:
        sock, _ = door.accept()
        sock.setblocking(False)
        clients[sock.fileno()] = Client(sock)
        epoll.register(sock, EDGE)
        if WRONG:
            break


def serve(client):
    try:
        while True:
            data = client.sock.recv(1024)
            client.output += data
            if not data:
                return close(client)
            if WRONG:
                break  # what is left is not reported again
    except BlockingIOError:
        pass
    while client.output:
        del client.output[: client.sock.send(client.output)]


def close(client):
    epoll.unregister(client.fd)
    del clients[client.fd]
    client.sock.close()


while True:
    for fd, _ in epoll.poll():
        try:
            accept() if fd == door.fileno() else serve(clients[fd])
        except BlockingIOError:
            pass
        except OSError:
            close(clients[fd])
