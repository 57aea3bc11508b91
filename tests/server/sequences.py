"""Writes server_sequences.txt: which methods Python's socketserver calls, in which order.

    python3 tests/server_sequences.py > tests/server_sequences.txt

The tests read that file and need no Python. It was written by CPython 3.11.

What happens in the serving thread or process is the line `loop`; what happens in a thread or a
child that was made for a request is the line `worker`. service_actions is called in idle turns
too: where it is called several times in a row, one is written.
"""

import os
import socket
import socketserver
import sys
import tempfile
import threading

HOOKS = """server_bind server_activate server_close get_request verify_request process_request
process_request_thread finish_request shutdown_request close_request handle_error handle_timeout
service_actions""".split()


class Log:
    def __init__(self):
        self.file, self.path = tempfile.mkstemp()
        self.home = (os.getpid(), threading.get_ident())

    def note(self, name):
        where = "loop" if (os.getpid(), threading.get_ident()) == self.home else "worker"
        os.write(self.file, f"{where} {name}\n".encode())

    def lines(self):
        calls = {"loop": [], "worker": []}
        for line in open(self.path):
            where, name = line.split()
            if name == "service_actions" and calls[where][-1:] in (
                ["service_actions"],
                ["server_activate"],
            ):
                continue
            calls[where].append(name)
        return [f"{where}: {' '.join(names)}" for where, names in calls.items() if names]


def record(mixins, case):
    log = Log()

    class Handler(socketserver.BaseRequestHandler):
        def setup(self):
            log.note("setup")
            if case == "setup fails":
                raise ValueError(case)

        def handle(self):
            log.note("handle")
            self.request.recv(100)
            if case == "handle fails":
                raise ValueError(case)

        def finish(self):
            log.note("finish")

    class Server(*mixins, socketserver.TCPServer):
        pass

    def noting(name, method):
        def noted(self, *arguments):
            log.note(name)
            if name == "verify_request" and case == "verify refuses":
                return False
            if name == "get_request" and case == "accept fails":
                method(self)[0].close()
                raise OSError(case)
            if name == "handle_error":
                return None
            return method(self, *arguments)

        return noted

    for name in HOOKS:
        if hasattr(Server, name):
            setattr(Server, name, noting(name, getattr(Server, name)))

    server = Server(("127.0.0.1", 0), Handler)
    if case == "timeout":
        server.timeout = 0.01
        server.handle_request()
    else:

        def client():
            with socket.create_connection(server.server_address) as connection:
                connection.sendall(b"hello")
                try:
                    connection.recv(100)
                except ConnectionResetError:
                    pass
            server.shutdown()

        thread = threading.Thread(target=client)
        thread.start()
        server.serve_forever(0.01)
        thread.join()
    server.server_close()
    print(f"[{case}, {mixins[0].__name__ if mixins else 'none'}]")
    print("\n".join(log.lines()))


for case in ["success", "handle fails", "setup fails", "verify refuses", "accept fails", "timeout"]:
    for mixins in [(), (socketserver.ThreadingMixIn,), (socketserver.ForkingMixIn,)]:
        record(mixins, case)
    sys.stdout.flush()
