import select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)
inputs, file = [sk1], open('/proc/self/exe', 'rb')

while True:
    r_list, w_list, e_list = select.select(inputs + [file], [], [], 1)
    for conn in r_list:
        if conn is sk1:
            inputs.append(conn.accept()[0])
        elif conn is file:
            data = file.read(1024)  # it was always ready
            if not data:
                file.seek(0)
            # select.epoll().register(file) raises PermissionError
        else:
            data = conn.recv(1024)
            if data:
                conn.send(data)
            else:
                inputs.remove(conn)
                conn.close()
