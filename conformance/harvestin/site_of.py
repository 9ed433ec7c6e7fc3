"""A server that says what a table tells it: the other side of every hostile case."""
import socket
import socketserver
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def answer(body, kind="text/turtle", head="", status="200 OK", length=None):
    """A whole response."""
    if isinstance(body, str):
        body = body.encode()
    length = len(body) if length is None else length
    lines = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{head}\r\n"
    return lines.encode() + body


def redirect(target, status="302 Found"):
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()


def drip(pieces, pause, head=OK + b"Content-Type: text/turtle\r\n\r\n", wait=0):
    """Sends a head at once and then pieces slowly."""
    def say(stream):
        time.sleep(wait)
        stream.sendall(head)
        for piece in pieces:
            stream.sendall(piece)
            time.sleep(pause)
    return say


def silence(seconds):
    return lambda stream: time.sleep(seconds)


def flood(head, piece, most):
    """Sends without end, as far as the other side reads."""
    def say(stream):
        stream.sendall(head)
        sent = 0
        while sent < most:
            stream.sendall(piece)
            sent += len(piece)
    return say


def reset(head=b""):
    """Breaks the connection off."""
    def say(stream):
        import struct
        stream.sendall(head)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return say


class Site:
    """Answers by path; what is not told is a function of the path, or 404. Counts who asked."""

    def __init__(self, host="127.0.0.1", family=socket.AF_INET):
        self.paths, self.prefixes, self.asked = {}, [], []
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    self.request.settimeout(30)
                    head = b""
                    while b"\r\n\r\n" not in head and len(head) < 65_536:
                        piece = self.request.recv(4096)
                        if not piece:
                            break
                        head += piece
                    path = head.split(b" ")[1].decode("latin-1") if head.count(b" ") > 1 else ""
                    site.asked.append(path)
                    say = site.paths.get(path)
                    if say is None:
                        say = next((make(path) for start, make in site.prefixes if path.startswith(start)), None)
                    if say is None:
                        say = answer("", status="404 Not Found")
                    if callable(say):
                        say(self.request)
                    else:
                        self.request.sendall(say)
                except OSError:
                    pass  # The other side has gone, as it should.

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128
            address_family = family

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.host = f"{host}:{self.port}"
        self.base = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
