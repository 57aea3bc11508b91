import select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)
conns = {}
messages = {}
epoll = select.epoll()
epoll.register(sk1, select.EPOLLIN | select.EPOLLET)

while True:
    for fd, event in epoll.poll(1):
        if fd == sk1.fileno():
            try:
                while True:
                    conn, address = sk1.accept()
                    conn.setblocking(False)
                    conns[conn.fileno()], messages[conn.fileno()] = conn, b''
                    epoll.register(conn, select.EPOLLIN | select.EPOLLET)
            except BlockingIOError:
                continue
        elif event & select.EPOLLIN:
            data = conns[fd].recv(1024)  # once: what is left is lost
            if not data:
                conns.pop(fd).close()
                continue
            messages[fd] += data
        sent = conns[fd].send(messages[fd])
        messages[fd] = messages[fd][sent:]
