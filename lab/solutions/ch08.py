"""A client that does not read is not read."""

from loop import WRONG, Loop


class Server(Loop):
    HIGH = 1 << 40 if WRONG else 64 << 10


Server().run()
