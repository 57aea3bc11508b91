import select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)

inputs = [sk1]
outputs = []
message_dict = {}

while True:
    r_list, w_list, e_list = select.select(inputs, outputs, inputs, 1)
    gone = set()
    for sk1_or_conn in r_list:
        if sk1_or_conn is sk1:
            conn, address = sk1_or_conn.accept()
            conn.setblocking(False)
            inputs.append(conn)
            message_dict[conn] = b''
        else:
            data_bytes = sk1_or_conn.recv(4096)
            if not data_bytes:
                inputs.remove(sk1_or_conn)
                gone.add(sk1_or_conn)
            else:
                message_dict[sk1_or_conn] += data_bytes
                outputs.append(sk1_or_conn)
    for conn in w_list:
        if message_dict[conn]:
            message = message_dict[conn]
            sent = conn.send(message)
            message_dict[conn] = message[sent:]
        if not message_dict[conn]:
            outputs.remove(conn)
            if conn in gone:
                conn.close()
