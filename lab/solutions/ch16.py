"""A thread for each client, and no longer than that."""

import socketserver

from loop import WRONG, address


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            try:
                data = self.request.recv(1024)
                if not data and not WRONG:
                    break  # the wrong one goes on, for ever
                self.request.sendall(data)
            except OSError:
                break


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64
    daemon_threads = True


Server(address(), Handler).serve_forever()
