"""Another process was faster."""

import os

from loop import WRONG, Loop, listener

door = listener(blocking=WRONG)


class Server(Loop):
    def __init__(self):
        super().__init__(door)


for _ in range(3):
    if os.fork() == 0:
        break
Server().run()
