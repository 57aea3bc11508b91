"""A connection loop and a communication loop."""

import socketserver

from loop import WRONG, address


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1024):
            self.request.sendall(data.upper())
            if WRONG:
                break  # no communication loop


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64


Server(address(), Handler).serve_forever()
