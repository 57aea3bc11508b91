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
    for sk1_or_conn in r_list:
        if sk1_or_conn is sk1:
            conn, address = sk1_or_conn.accept()
            conn.setblocking(False)
            inputs.append(conn)
            message_dict[conn] = b''
        else:
            line = sk1_or_conn.recv(4096)
            if not line:
                inputs.remove(sk1_or_conn)
                del message_dict[sk1_or_conn]
                continue
            for conn in message_dict:
                if conn not in outputs: outputs.append(conn)
                message_dict[conn] += line
    for conn in w_list:
        message = message_dict.get(conn, b'')
        if message:
            sent = conn.send(message)
            message_dict[conn] = message[sent:]
        if not message_dict.get(conn):
            outputs.remove(conn)
