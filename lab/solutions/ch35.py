"""A buffer for each client: an echo server by completion, over io_uring."""

import ctypes
import mmap
import os
import struct

from loop import WRONG, listener

SETUP, ENTER = 425, 426  # the numbers of the system calls
ACCEPT, SEND, RECV = 13, 26, 27  # those of the operations
SIZE = 1024
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(it) for it in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Ring:
    """Two rings that are shared with the kernel: operations to begin, and results."""

    def __init__(self, entries):
        params = ctypes.create_string_buffer(120)
        self.fd = call(SETUP, entries, ctypes.addressof(params))
        words = struct.unpack_from("<30I", params)
        self.entries, results = words[:2]
        _, self.sq_tail, _, _, _, _, self.array = words[10:17]
        self.cq_head, self.cq_tail, _, _, _, self.cqes = words[20:26]
        self.results = results
        size = max(self.array + 4 * self.entries, self.cqes + 16 * results)
        self.ring = mmap.mmap(self.fd, size, offset=0)
        self.sqes = mmap.mmap(self.fd, 64 * self.entries, offset=0x10000000)
        self.pushed = 0

    def _word(self, at):
        return struct.unpack_from("<I", self.ring, at)[0]

    def begin(self, operation, fd, address, size):
        """Begins an operation. The memory is the kernel's until the result of this descriptor comes."""
        if self.pushed == self.entries:
            self.enter(0)
        tail = self._word(self.sq_tail)
        index = tail % self.entries
        sqe = (operation, 0, 0, fd, 0, address, size, 0, fd, 0, 0, 0, 0, 0)
        struct.pack_into("<BBHiQQIIQHHiQQ", self.sqes, 64 * index, *sqe)
        struct.pack_into("<I", self.ring, self.array + 4 * index, index)
        struct.pack_into("<I", self.ring, self.sq_tail, (tail + 1) & 0xFFFFFFFF)
        self.pushed += 1

    def enter(self, wanted):
        call(ENTER, self.fd, self.pushed, wanted, 1, 0, 0)
        self.pushed = 0

    def wait(self):
        """Sleeps until something is complete. Returns the numbers and the results."""
        self.enter(1)
        head, tail = self._word(self.cq_head), self._word(self.cq_tail)
        complete = []
        while head != tail:
            at = self.cqes + 16 * (head % self.results)
            complete.append(struct.unpack_from("<Qi", self.ring, at))
            head = (head + 1) & 0xFFFFFFFF
        struct.pack_into("<I", self.ring, self.cq_head, head)
        return complete


ring, door = Ring(256), listener(blocking=True)
shared = ctypes.create_string_buffer(SIZE)
clients = {}  # what is under way for each: the operation, its buffer, what is sent of it, and its end


def receive(fd):
    # The wrong server has one buffer for all, as a server by readiness may have.
    buffer = shared if WRONG else ctypes.create_string_buffer(SIZE)
    clients[fd] = RECV, buffer, 0, 0
    ring.begin(RECV, fd, ctypes.addressof(buffer), SIZE)


def send(fd, buffer, sent, end):
    clients[fd] = SEND, buffer, sent, end
    ring.begin(SEND, fd, ctypes.addressof(buffer) + sent, end - sent)


ring.begin(ACCEPT, door.fileno(), 0, 0)
while True:
    for fd, result in ring.wait():
        if fd == door.fileno():
            ring.begin(ACCEPT, fd, 0, 0)
            if result >= 0:
                receive(result)
            continue
        operation, buffer, sent, end = clients.pop(fd)
        if result <= 0:
            os.close(fd)
        elif operation == RECV:
            send(fd, buffer, 0, result)
        elif sent + result < end:
            send(fd, buffer, sent + result, end)
        else:
            receive(fd)
