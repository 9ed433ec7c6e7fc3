#!/usr/bin/env python3
"""A FAIR Data Point index that takes every ping: `index.py FILE` prints its address and writes each
body that is posted to it into FILE, one a line."""
import http.server
import sys


class Index(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 65536))
        with open(sys.argv[1], "ab") as file:
            file.write(body + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Index)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
