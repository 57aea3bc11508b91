import os, queue, select, socket, threading

sk1 = socket.socket()
sk1.bind(('127.0.0.1', 8001))
sk1.listen()
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
    r_list, w_list, e_list = select.select(inputs, [], [], 1)
    for ready in r_list:
        if ready is sk1:
            conn, address = sk1.accept()
            inputs.append(conn)
        elif ready is not wake_r:
            inputs.remove(ready)  # until its answer is there
            line = ready.recv(4096)
            if line:
                jobs.put((ready, line))
            else:
                ready.close()
        else:
            os.read(wake_r, 1)
            conn, answer = answers.get()
            inputs.append(conn)
            conn.setblocking(False)
            conn.send(answer)
