"""A client that has finished is closed in time."""

from loop import WRONG, listener

door = listener(blocking=True)
before = None
while True:
    sock, _ = door.accept()
    before = None  # Python closes a socket that no variable holds
    try:
        while data := sock.recv(1024):
            sock.sendall(data)
    except OSError:
        pass  # this client is gone
    if WRONG:
        before = sock
    else:
        sock.close()
