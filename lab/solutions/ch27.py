"""A client belongs to one thread at a time."""

import select
import threading
import time

from loop import WRONG, Client, listener

FLAGS = select.EPOLLIN if WRONG else select.EPOLLIN | select.EPOLLONESHOT
door = listener()
epoll = select.epoll()
epoll.register(door, FLAGS)
clients = {}


def serve(client):
    """Returns whether the client is still there."""
    try:
        data = client.sock.recv(1024)
        time.sleep(sum(int(chr(byte)) for byte in data if chr(byte).isdigit()) / 100)
        client.sock.sendall(data)
        return bool(data)
    except BlockingIOError:
        return True
    except OSError:
        return False


def work():
    while True:
        for fd, _ in epoll.poll(maxevents=1):
            if fd == door.fileno():
                try:
                    sock, _ = door.accept()
                    sock.setblocking(False)
                    clients[sock.fileno()] = Client(sock)
                    epoll.register(sock, FLAGS)
                except BlockingIOError:
                    pass
                epoll.modify(door, FLAGS)
            elif client := clients.get(fd):
                if serve(client):
                    epoll.modify(fd, FLAGS)
                elif clients.pop(fd, None):
                    epoll.unregister(fd)
                    client.sock.close()


for _ in range(3):
    threading.Thread(target=work).start()
work()
