import socket
sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()

inputs = [sk1, ]
outputs = []
message_dict = {}

import select

while True:
    r_list, w_list, e_list = select.select(inputs, outputs, inputs, 1)
    for sk1_or_conn in r_list:
        if sk1_or_conn == sk1:
            conn, address = sk1_or_conn.accept()
            inputs.append(conn)
            message_dict[conn] = []
        else:
            try:
                data_bytes = sk1_or_conn.recv(1024)
            except Exception as ex:
                inputs.remove(sk1_or_conn)
            else:
                data_str = str(data_bytes, encoding='utf-8')
                message_dict[sk1_or_conn].append(data_str)
                outputs.append(sk1_or_conn)
    for conn in w_list:
        recv_str = message_dict[conn][0]
        del message_dict[conn][0]
        conn.sendall(bytes(recv_str + '好', encoding='utf-8'))
        outputs.remove(conn)
