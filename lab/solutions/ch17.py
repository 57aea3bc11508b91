"""A process for each client, and one that counts."""

import os
import signal

from loop import WRONG, listener

door = listener(blocking=True)
count = 0


def serve(sock):
    global count
    if WRONG:
        count += 1  # in a copy
    sock.sendall(b"%d\n" % count)
    while data := sock.recv(1024):
        sock.sendall(data)


def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


signal.signal(signal.SIGCHLD, reap)
while True:
    sock, _ = door.accept()
    if not WRONG:
        count += 1
    if os.fork() == 0:
        door.close()
        try:
            serve(sock)
        finally:
            os._exit(0)
    sock.close()
