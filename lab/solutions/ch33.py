"""A signal does not say how many."""

import fcntl
import os
import signal

from loop import WRONG, listener


def signal_when_ready(sock):
    sock.setblocking(False)
    fcntl.fcntl(sock, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(sock, fcntl.F_GETFL)
    fcntl.fcntl(sock, fcntl.F_SETFL, flags | os.O_ASYNC)


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
door = listener()
signal_when_ready(door)
clients = []


def accept():
    try:
        while True:
            sock, _ = door.accept()
            signal_when_ready(sock)
            clients.append(sock)
    except BlockingIOError:
        pass


def serve(sock):
    """Answers. Returns whether something has come."""
    is_answered = False
    try:
        while data := sock.recv(1024):
            is_answered = True
            sock.sendall(data.upper())
    except BlockingIOError:
        return is_answered
    except OSError:
        pass
    clients.remove(sock)
    sock.close()
    return is_answered


while True:
    accept()
    for sock in list(clients):
        if serve(sock) and WRONG:
            break  # one signal, one client
    signal.sigwait([signal.SIGIO])
