import select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)
inputs, outputs = [sk1], []

while True:
    r_list, w_list, e_list = select.select(inputs, outputs, [], 1)
    for conn in r_list:
        if conn is sk1:
            conn, address = sk1.accept()
            conn.setblocking(False)
            inputs.append(conn)
            outputs.append(conn)  # BUG: there is nothing to send yet
            continue
        data = conn.recv(1024)
        if not data:
            inputs.remove(conn)
            outputs.remove(conn)
            conn.close()
            continue
        conn.send(data)
