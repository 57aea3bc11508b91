import select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)
conns = {}
epoll = select.epoll()
epoll.register(sk1, select.EPOLLIN)

while True:
    for fd, event in epoll.poll(1):
        if fd == sk1.fileno():
            conn, address = sk1.accept()
            conn.setblocking(False)
            conns[conn.fileno()] = conn
            epoll.register(conn, select.EPOLLIN)
            continue
        if fd not in conns:
            continue  # a descriptor that was closed
        data = conns[fd].recv(1024)
        if data:
            conns[fd].send(data)
        else:
            conns.pop(fd).close()  # BUG: it was not unregistered
