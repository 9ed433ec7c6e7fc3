#!/usr/bin/env python3
"""Other catalogues for the report pages: one that is well but for what it may not say, one that is not there.

    others.py --binary vesalius --data FOLDER --config FILE

Appends them to the configuration (`source = []` of its table `harvest` goes), and harvests them once.
All of it is synthetic.
"""
import argparse
import http.server
import subprocess
import threading

CATALOGUE = """@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
<{base}/> a dcat:Catalog ; dct:title "A neighbour's catalogue (synthetic)"@en ;
  dcat:dataset <{base}/d/knee>, <{base}/d/hand>, <http://elsewhere.example/d/foreign> .
<{base}/d/knee> a dcat:Dataset ; dct:title "Synthetic knee radiographs"@en ;
  dct:description "Invented radiographs of knees."@en ; dct:identifier "{base}/d/knee" .
<{base}/d/hand> a dcat:Dataset ; dct:description "A dataset without a title."@en ; dct:identifier "{base}/d/hand" .
<http://elsewhere.example/d/foreign> a dcat:Dataset ; dct:title "Somebody else's dataset (synthetic)"@en ;
  dct:description "Described by a catalogue that may not."@en .
"""


class Catalogue(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = CATALOGUE.replace("{base}", f"http://{self.headers['Host']}").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/turtle")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    for name in ("binary", "data", "config"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    away = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    nobody = f"127.0.0.1:{away.server_port}"
    away.server_close()
    with open(args.config, encoding="utf-8") as file:
        text = file.read().replace("source = []\n", "")
    for name, at in (("neighbour", host), ("nobody-there", nobody)):
        text += (f'\n[[harvest.source]]\nname = "{name}"\nurl = "http://{at}/catalog.ttl"\nkind = "dcat"\n'
                 f'namespaces = ["http://{at}/d/"]\nseconds = 5\nallow_private = ["{at}"]\n')
    with open(args.config, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run([args.binary, "--data", args.data, "--config", args.config, "harvest"], check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


if __name__ == "__main__":
    main()
