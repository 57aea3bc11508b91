"""The worker's answer, in the right order and to the right client."""

import socket
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from loop import IN, WRONG, Loop

pool = ThreadPoolExecutor(8)


class Server(Loop):
    def __init__(self):
        super().__init__()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.watch(self.ours.fileno(), IN)
        self.done = deque()

    def opened(self, client):
        client.places = deque()

    def received(self, client, data):
        client.input += data
        for line in client.lines():
            place = [line, not line.startswith(b"slow")]
            client.places.append(place)
            if not place[1]:
                pool.submit(self.work, client, place)
        self.send(client)

    def work(self, client, place):
        """In a worker. It touches no client."""
        time.sleep(0.3)
        self.done.append((client, place))
        self.theirs.send(b"!")

    def turn(self):
        super().turn()
        try:
            self.ours.recv(4096)
        except BlockingIOError:
            return
        while self.done:
            client, place = self.done.popleft()
            place[1] = True
            if not client.gone:
                self.send(client)
                self.update(client)

    def send(self, client):
        if WRONG:  # what is ready first is sent first
            client.places = deque(sorted(client.places, key=lambda place: not place[1]))
        while client.places and client.places[0][1]:
            client.output += client.places.popleft()[0]


Server().run()
