"""A silent client takes no worker."""

from concurrent.futures import ThreadPoolExecutor

from loop import WRONG, Loop, listener

pool = ThreadPoolExecutor(8)


def work(number, line):
    return b"%d: %s" % (number, line)


class Server(Loop):
    """Workers make answers. (For an answer that takes its time, see `ch24.py`.)"""

    def opened(self, client):
        client.count = 0
        client.output += b"hello\n"
        client.sock.send(client.output)
        client.output.clear()

    def received(self, client, data):
        client.input += data
        for line in client.lines():
            client.count += 1
            client.output += pool.submit(work, client.count, line).result()


def converse(sock):
    """A worker from the client's beginning to its end."""
    sock.sendall(b"hello\n")
    for number, line in enumerate(sock.makefile("rb"), 1):
        sock.sendall(work(number, line))


if WRONG:
    door = listener(blocking=True)
    while True:
        pool.submit(converse, door.accept()[0])
Server().run()
