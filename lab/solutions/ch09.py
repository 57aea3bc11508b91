"""Three ports in one loop."""

import select

from loop import WRONG, address, listener

host, port = address()
doors = [listener((host, port + more)) for more in range(3)]
numbers = {door.fileno(): door for door in doors}
clients = {}
poll = select.poll()
for door in doors:
    poll.register(door, select.POLLIN)
while True:
    for fd, _ in poll.poll():
        if fd in numbers:
            sock, _ = numbers[fd].accept()
            sock.sendall(f"hello from {sock.getsockname()[1]}".encode())
            if WRONG:
                sock.close()  # a reset, if the client has sent something
                continue
            sock.shutdown(1)
            clients[sock.fileno()] = sock
            poll.register(sock, select.POLLIN)
            continue
        try:
            if clients[fd].recv(4096):
                continue
        except OSError:
            pass
        poll.unregister(fd)
        clients.pop(fd).close()
