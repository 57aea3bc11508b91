"""From poll to epoll and back."""

import select

from loop import IN, WRONG, Loop

MOST, FEWEST = (100, 100) if WRONG else (100, 50)


class Epoll:
    """An epoll that is asked as a poll is."""

    def __init__(self):
        self.epoll, self.known = select.epoll(), set()

    def register(self, fd, events):
        call = self.epoll.modify if fd in self.known else self.epoll.register
        call(fd, events)
        self.known.add(fd)

    def unregister(self, fd):
        self.known.remove(fd)
        self.epoll.unregister(fd)

    def poll(self, timeout):
        return self.epoll.poll(timeout and timeout / 1000)


class Server(Loop):
    def turn(self):
        count, is_epoll = len(self.clients), isinstance(self.poll, Epoll)
        if count > MOST and not is_epoll:
            self.switch(Epoll())
        elif count < FEWEST and is_epoll or WRONG and count <= MOST and is_epoll:
            self.switch(select.poll())
        super().turn()

    def switch(self, new):
        new.register(self.listener.fileno(), IN)
        for client in self.clients.values():
            if events := self.wants(client):
                new.register(client.fd, events)
        self.poll = new


Server().run()
