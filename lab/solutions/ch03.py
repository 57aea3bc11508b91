"""The kernel's list has the clients that are here."""

import select

from loop import WRONG, listener

door = listener()
epoll = select.epoll()
epoll.register(door, select.EPOLLIN)
clients, duplicates = {}, []
while True:
    for fd, _ in epoll.poll():
        if fd == door.fileno():
            sock, _ = door.accept()
            sock.setblocking(False)
            clients[sock.fileno()] = sock
            duplicates.append(sock.dup())  # for a log, say
            epoll.register(sock, select.EPOLLIN)
        elif fd in clients:
            data = clients[fd].recv(4096)
            if data:
                clients[fd].send(data)
            else:
                if not WRONG:
                    epoll.unregister(fd)  # the duplicate keeps the file open, and listed
                clients.pop(fd).close()
