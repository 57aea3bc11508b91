import errno, select, socket

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)

full = errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM
inputs = [sk1]
outputs = []
message_dict = {}

while True:
    pauses = sk1 not in inputs
    r_list, w_list, e_list = select.select(inputs, outputs, inputs, 0.1 if pauses else 1)
    if pauses:
        inputs.append(sk1)
    for sk1_or_conn in r_list:
        if sk1_or_conn is sk1:
            try:
                conn, address = sk1_or_conn.accept()
            except OSError as error:
                if error.errno in full:  # the client waits in the backlog
                    inputs.remove(sk1)
                continue
            conn.setblocking(False)
            inputs.append(conn)
            message_dict[conn] = b''
        else:
            try:
                line = sk1_or_conn.recv(4096)
            except BlockingIOError:
                continue
            except OSError:  # a reset
                line = b''
            if not line:
                inputs.remove(sk1_or_conn)
                del message_dict[sk1_or_conn]
                if sk1_or_conn in outputs: outputs.remove(sk1_or_conn)
                sk1_or_conn.close()
                continue
            for conn in message_dict:
                if conn not in outputs: outputs.append(conn)
                message_dict[conn] += line
    for conn in w_list:
        if conn not in outputs:
            continue  # it has left
        try:
            sent = conn.send(message_dict[conn])
        except OSError:  # it has left, or there is no room
            continue
        message_dict[conn] = message_dict[conn][sent:]
        if not message_dict[conn]:
            outputs.remove(conn)
