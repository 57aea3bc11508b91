"""Runs the workloads of tripoll with the module selectors, and measures itself.

Reads lines `kind backend workload n active start events`, and answers each with
`wall_ns cpu_ns registration_ns`, or with `error: reason`.
"""

import fcntl
import os
import resource
import selectors
import socket
import sys
import time

FIRST_READER = 20
SELECTORS = {
    "select": selectors.SelectSelector,
    "poll": getattr(selectors, "PollSelector", None),
    "epoll": getattr(selectors, "EpollSelector", None),
}


def pair(kind, listener):
    if kind == "pipe":
        return os.pipe()
    if kind == "unix":
        ends = socket.socketpair()
    else:
        writer = socket.create_connection(listener.getsockname())
        ends = listener.accept()[0], writer
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [end.detach() for end in ends]


def open_pipes(kind, n):
    """The reading ends have consecutive numbers, and the writing ends higher ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * n + 60:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * n + 60, hard), hard))
    listener = socket.create_server(("127.0.0.1", 0)) if kind == "tcp" else None
    readers, writers = [], []
    for _ in range(n):
        reader, writer = pair(kind, listener)
        readers.append(fcntl.fcntl(reader, fcntl.F_DUPFD_CLOEXEC, FIRST_READER))
        writers.append(fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, readers[0] + n))
        os.close(reader)
        os.close(writer)
        # The kernel allocates the buffer of a pipe at its first byte.
        os.write(writers[-1], b".")
        os.read(readers[-1], 1)
        os.set_blocking(readers[-1], False)
        os.set_blocking(writers[-1], False)
    return readers, writers


def ring(selector, left):
    select, read, write = selector.select, os.read, os.write
    while left:
        for key, _ in select():
            if not left:
                break
            left -= 1
            read(key.fd, 1)
            write(key.data, b".")


def watch(selector, writers, places):
    select, read, write = selector.select, os.read, os.write
    for place in places:
        write(writers[place], b".")
        for key, _ in select():
            read(key.fd, 1)


def places(n, events):
    state, all = 0x9E3779B9, []
    for _ in range(events):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        all.append(state * n >> 32)
    return all


def run(pipes, backend, workload, n, active, start, events):
    readers, writers = pipes[0][:n], pipes[1][:n]
    step = 1 if active < n else 0
    with SELECTORS[backend]() as selector:
        before = time.perf_counter_ns()
        for index, reader in enumerate(readers):
            selector.register(reader, selectors.EVENT_READ, writers[(index + step) % n])
        registration = time.perf_counter_ns() - before
        if workload == "ring":
            for byte in range(active):
                os.write(writers[start + byte * n // active], b".")
            arguments = ring, (selector, events)
        else:
            arguments = watch, (selector, writers, places(n, events))
        function, arguments = arguments
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        function(*arguments)
        cpu, wall = time.thread_time_ns() - cpu, time.perf_counter_ns() - wall
    for reader in readers:
        try:
            while os.read(reader, 64):
                pass
        except BlockingIOError:
            pass
    return wall, cpu, registration


def main():
    opened = {}
    for line in sys.stdin:
        kind, backend, workload, *numbers = line.split()
        n, active, start, events = map(int, numbers)
        try:
            if kind not in opened or len(opened[kind][0]) < n:
                for ends in opened.pop(kind, ((), ())):
                    for end in ends:
                        os.close(end)
                opened[kind] = open_pipes(kind, n)
            answer = run(opened[kind], backend, workload, n, active, start, events)
            print(*answer, flush=True)
        except (OSError, ValueError, TypeError) as error:
            print("error:", error, flush=True)


main()
