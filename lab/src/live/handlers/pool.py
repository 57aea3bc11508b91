import errno, os, queue, select, socket, threading

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
sk1.setblocking(False)

full = errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM
jobs, answers = queue.Queue(64), queue.Queue()
wake_r, wake_w = os.pipe()
inputs = [sk1, wake_r]

def worker():
    while True:
        conn, line = jobs.get()
        answer = line  # slow work
        answers.put((conn, answer))
        os.write(wake_w, b'x')  # wakes the loop

for _ in range(2):
    threading.Thread(target=worker, daemon=True).start()

while True:
    pauses = sk1 not in inputs
    r_list, w_list, e_list = select.select(inputs, [], [], 0.1 if pauses else 1)
    if pauses:
        inputs.append(sk1)
    for ready in r_list:
        if ready is sk1:
            try:
                conn, address = sk1.accept()
            except OSError as error:
                if error.errno in full:  # the client waits in the backlog
                    inputs.remove(sk1)
                continue
            conn.setblocking(False)
            inputs.append(conn)
        elif ready is not wake_r:
            try:
                line = ready.recv(4096)
            except BlockingIOError:
                continue
            except OSError:  # a reset
                line = b''
            inputs.remove(ready)  # until its answer is there
            if line:
                jobs.put((ready, line))
            else:
                ready.close()
        else:
            os.read(wake_r, 1)
            conn, answer = answers.get()
            inputs.append(conn)
            try:
                conn.send(answer)
            except OSError:  # a reset: its next recv says so
                pass
