"""Harvest of a large catalogue: what one sees who knows it already, and a full download.

The datasets are copies of the demo's documents (without their dictionaries of variables, so that a
hundred thousand fit on a disk) with words of their own, written into the tables as publishing
would. The ten that change get a whole document.

`since`    /changes?since=N&include=documents, compressed: bytes on the wire, milliseconds (median of 30)
`one`      /changes?since=N and each of the ten payloads by itself, compressed: bytes and milliseconds
`modified` /catalog.ttl?modified_since=…, compressed
`walk`     every page of /catalog in each form, by its first reader: the server made their parts before
`changed`  the same in Turtle, asked at once after ten datasets changed
`again`    the same pages again, by a client that does nothing with them
`static`   the same bytes of `again` as files, from nginx (`NGINX_BINARY`, or of the PATH), else from Python's http.server;
           with the same headers, and read by a client that looks at their length only: `http.client` takes three
           times as long to read them as either server to send the page
`copying`  the same without `sendfile`, nginx's own default
`dump`     the same triples dumped from a RocksDB store of oxigraph

The servers of all sizes run side by side and are asked in turn, so that a busy machine slows all of
them alike; `growth` is the greatest median among the sizes divided by the least.
"""
import gzip
import hashlib
import http.client
import io
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

EVENT = ("INSERT INTO dataset_event (seq, slug, operation, version, access, time, hash, bytes, published, successor) "
         "VALUES (?,?,?,?,?,?,?,?,?,NULL)")


def serve(binary, data, port=18999):
    environment = dict(os.environ, VESALIUS_ARCHIVE_IDENTITY="identified")
    server = subprocess.Popen([binary, "--data", data, "--json", "serve", "--listen", f"127.0.0.1:{port}",
                               "--public-url", "http://127.0.0.1:18999"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    for _ in range(3000):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
            connection.request("GET", "/healthz")
            if connection.getresponse().read():
                quiet(server.pid)
                return server, connection
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not start")


def quiet(pid):
    """Waits until the server has done what it does at its start."""
    def used():
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    for _ in range(600):
        before = used()
        time.sleep(1)
        if used() - before <= 5:
            return


def get(connection, path, coding="gzip"):
    begin = time.perf_counter()
    try:
        connection.request("GET", path, headers={"Accept-Encoding": coding})
        answer = connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        # Closed while another size was filled.
        connection.close()
        begin = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": coding})
        answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]}")
    return body, (time.perf_counter() - begin) * 1000


def make(binary, data):
    """The demo, published; returns its data folder's database and one row."""
    demo = subprocess.Popen([binary, "--data", data, "--json", "demo", "--listen", "127.0.0.1:18999"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in demo.stdout:
        if '"ready"' in line:
            break
    demo.terminate()
    demo.wait()
    shutil.rmtree(os.path.join(data, "descriptions"))
    os.mkdir(os.path.join(data, "descriptions"))


def words(rng, count):
    return " ".join("".join(rng.choice("aeioulnrstdkm") for _ in range(rng.randint(3, 9))) for _ in range(count))


def document(sample, slug, rng, whole):
    lines = [line.replace("lung-ldct", slug) for line in sample.splitlines()
             if whole or "csvw" not in line and "#variable-" not in line]
    iri = f"http://127.0.0.1:18999/dataset/{slug}"
    lines.append(f'<{iri}> <http://purl.org/dc/terms/alternative> "{words(rng, 60)}" .')
    return "\n".join(sorted(lines)) + "\n"


def fill(data, count):
    database = sqlite3.connect(os.path.join(data, "vesalius.db"))
    names = [row[1] for row in database.execute("PRAGMA table_info(dataset)")]
    row = dict(zip(names, database.execute("SELECT * FROM dataset WHERE slug = 'lung-ldct'").fetchone()))
    sample, rng = row["document"], random.Random(7)
    seq, published = database.execute("SELECT seq, published FROM dataset_event ORDER BY seq DESC").fetchone()
    number = database.execute("SELECT value FROM counter WHERE name = 'dataset'").fetchone()[0]
    put = f"INSERT INTO dataset ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    for place in range(count):
        slug = f"d{place:06}"
        text = document(sample, slug, rng, False)
        number, seq, published = number + 1, seq + 1, published + 1
        row.update(slug=slug, number=number, document=text)
        database.execute(put, [row[name] for name in names])
        database.execute(EVENT, (seq, slug, 1, row["version"], "NON_PUBLIC", row["modified"],
                                 hashlib.sha256(text.encode()).hexdigest(), len(text), published))
    finish(database, seq, number, [number])
    return sample, seq, number


def finish(database, seq, number, changed):
    database.execute("UPDATE counter SET value = ? WHERE name = 'dataset_event'", (seq,))
    database.execute("UPDATE counter SET value = ? WHERE name = 'dataset'", (number,))
    for one in changed:
        change = database.execute(
            "UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value").fetchone()[0]
        database.execute("INSERT INTO change (seq, kind, number, mark) VALUES (?, 3, ?, 1)", (change, one))
    database.commit()
    database.close()


def change(data, sample, count, number, ten=10):
    database, rng = sqlite3.connect(os.path.join(data, "vesalius.db"), timeout=60), random.Random(8)
    seq, published, last = database.execute(
        "SELECT seq, published, time FROM dataset_event ORDER BY seq DESC").fetchone()
    modified, changed = last + 3_600_000_000, []
    for place in range(ten):
        slug = f"d{place * count // ten:06}"
        text = document(sample, slug, rng, True)
        seq += 1
        database.execute("UPDATE dataset_event SET successor = ?, document = (SELECT document FROM dataset d "
                         "WHERE d.slug = dataset_event.slug) WHERE slug = ? AND successor IS NULL", (seq, slug))
        database.execute("UPDATE dataset SET document = ?, modified = ? WHERE slug = ?", (text, modified, slug))
        database.execute(EVENT, (seq, slug, 2, "1.0", "NON_PUBLIC", modified,
                                 hashlib.sha256(text.encode()).hexdigest(), len(text), published))
        changed += database.execute("SELECT number FROM dataset WHERE slug = ?", (slug,)).fetchone()
    finish(database, seq, number, changed)
    return modified


def in_turn(works, times=30):
    """The median of each, asked one after the other again and again."""
    found = {name: [] for name in works}
    for _ in range(times + 3):
        for name, work in works.items():
            found[name].append(work())
    # The first few fill caches of the database and of the machine.
    return {name: round(statistics.median(times[3:]), 2) for name, times in found.items()}


def since(connection, last, modified):
    """What comes, and what to ask again and again for the time that it takes."""
    path = f"/changes.ttl?since={last}&include=documents"
    body, _ = get(connection, path)
    text = gzip.decompress(body).decode()
    assert text.count("a dcat:Dataset ") == 10, text.count("a dcat:Dataset ")
    found = {"since": {"bytes": len(body), "plain": len(text)}}
    feed = f"/changes?since={last}"
    events = json.loads(gzip.decompress(get(connection, feed)[0]))["orderedItems"]
    paths = [feed] + [event["document"].split("18999")[1] + ".ttl" for event in events]
    found["one"] = {"requests": len(paths), "bytes": sum(len(get(connection, path)[0]) for path in paths)}
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(modified // 1_000_000 - 60))
    listing = f"/catalog.ttl?modified_since={day}"
    body, _ = get(connection, listing)
    assert gzip.decompress(body).decode().count("a dcat:Dataset ") == 10
    found["modified"] = {"bytes": len(body)}
    return found, {"since": lambda: get(connection, path)[1],
                   "one": lambda: sum(get(connection, path)[1] for path in paths),
                   "modified": lambda: get(connection, listing)[1]}


NEXT = re.compile(rb"http://127\.0\.0\.1:18999(/catalog[^\"> ]*[?;&]page=(\d+)[^\"> ]*)")


def walk(connection, form, bodies=None, paths=None):
    path, pages, wire, plain, slowest, datasets = f"/catalog.{form}", 0, 0, 0, 0, 0
    begin, reading = time.perf_counter(), 0.0
    while path:
        body, ms = get(connection, path)
        own = time.perf_counter()
        if bodies is not None:
            bodies.append(body)
            paths.append(path)
        text = gzip.decompress(body)
        datasets += len(set(re.findall(rb"/record/[^\"> ]+", text)))
        pages, wire, plain, slowest = pages + 1, wire + len(body), plain + len(text), max(slowest, ms)
        others = {int(number): address for address, number in NEXT.findall(text)}
        path = others[pages + 1].decode().replace("&amp;", "&") if pages + 1 in others else None
        reading += time.perf_counter() - own
    seconds = time.perf_counter() - begin - reading
    return {"pages": pages, "datasets": datasets, "seconds": round(seconds, 3), "slowest_ms": round(slowest, 1),
            "wire_MB_s": round(wire / seconds / 1e6, 1), "plain_MB_s": round(plain / seconds / 1e6, 1),
            "wire": wire}


class Reader:
    """A connection that asks and receives and does nothing else, so that the server's time shows."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.buffer = memoryview(bytearray(16 << 20))

    def head(self, path):
        """The headers of an answer."""
        return self.ask(self.request(path))[1]

    def request(self, path):
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:18999\r\nAccept-Encoding: gzip\r\n\r\n".encode()

    def ask(self, request):
        """Bytes of the body, and the headers."""
        self.socket.sendall(request)
        got, end = 0, -1
        while end < 0:
            got += self.more(got)
            end = bytes(self.buffer[:min(got, 8192)]).find(b"\r\n\r\n")
        head = bytes(self.buffer[:end])
        mark = head.lower().find(b"\r\ncontent-length:") + 17
        length = int(head[mark:].split(b"\r\n", 1)[0])
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(head.decode())
        while got < end + 4 + length:
            got += self.more(got)
        return length, head

    def more(self, got):
        count = self.socket.recv_into(self.buffer[got:])
        if count == 0:
            raise SystemExit("the server closed the connection")
        return count

    def fetch(self, paths):
        """Gets one after the other: compressed bytes, seconds."""
        requests = [self.request(path) for path in paths]
        begin = time.perf_counter()
        wire = sum(self.ask(request)[0] for request in requests)
        return wire, time.perf_counter() - begin

    def close(self):
        self.socket.close()


CONFIGURATION = """daemon off; master_process off; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile {sendfile}; tcp_nopush {sendfile}; tcp_nodelay on; keepalive_requests 1000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; default_type "application/n-triples; charset=utf-8"; {headers} }}
}}"""

# Without nginx: what Python has, which keeps a connection too.
SERVER = """
import http.server, os, sys
class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    def log_message(self, *_):
        pass
os.chdir(sys.argv[2])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Files).serve_forever()
"""


def same(head):
    """The headers of an answer that a server of files does not send by itself."""
    for line in head.decode().split("\r\n")[1:]:
        name, value = line.split(": ", 1)
        if name not in ("content-length", "content-type", "date", "etag", "last-modified"):
            yield name, value


class Static:
    """The same bytes as files, from a static-file server: `NGINX_BINARY`, else the one of the PATH, else Python's."""

    def __init__(self, folder, pages, head, port=19_090, sendfile="on"):
        os.makedirs(os.path.join(folder, "files"))
        for number, body in enumerate(pages):
            with open(os.path.join(folder, "files", f"p{number}"), "wb") as file:
                file.write(body)
        # Root's worker is another user.
        os.chmod(folder, 0o755)
        self.pages = len(pages)
        nginx = os.environ.get("NGINX_BINARY") or shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        if nginx:
            config = os.path.join(folder, "nginx.conf")
            with open(config, "w", encoding="ascii") as file:
                headers = " ".join(f"add_header {name} {json.dumps(value)};" for name, value in same(head))
                file.write(CONFIGURATION.format(folder=folder, port=port, sendfile=sendfile, headers=headers))
            command = [nginx, "-p", folder, "-c", config]
            version = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr
            self.name = version.strip().rsplit(" ", 1)[-1]
        else:
            command = [sys.executable, "-c", SERVER, str(port), os.path.join(folder, "files")]
            self.name = "Python's http.server"
        self.process = subprocess.Popen(command)
        for _ in range(100):
            try:
                self.reader = Reader(port)
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} does not start")

    def paths(self):
        return [f"/p{number}" for number in range(self.pages)]

    def close(self):
        self.reader.close()
        self.process.terminate()
        self.process.wait()


def dump(data, folder):
    import pyoxigraph
    database = sqlite3.connect(os.path.join(data, "vesalius.db"))
    store = pyoxigraph.Store(os.path.join(folder, "rocks"))
    text = "".join(row[0] for row in database.execute("SELECT document FROM dataset WHERE slug LIKE 'd%'"))
    store.bulk_load(text.encode(), pyoxigraph.RdfFormat.N_TRIPLES)
    store.flush()
    store.optimize()
    times = []
    for _ in range(3):
        begin, out = time.perf_counter(), io.BytesIO()
        store.dump(out, pyoxigraph.RdfFormat.N_TRIPLES, from_graph=pyoxigraph.DefaultGraph())
        times.append(time.perf_counter() - begin)
    return round(len(out.getvalue()) / statistics.median(times) / 1e6, 1)


def main():
    binary, cache, sizes = sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]
    result = {"load": os.getloadavg()[0], "sizes": {}}
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        demo = os.path.join(folder, "demo")
        make(binary, demo)
        servers, works = {}, {}
        try:
            for port, count in enumerate(sizes, 18999):
                data = os.path.join(folder, f"data-{count}")
                shutil.copytree(demo, data)
                sample, last, number = fill(data, count)
                modified = change(data, sample, count, number)
                servers[count] = serve(binary, data, port)
                result["sizes"][count], works[count] = since(servers[count][1], last, modified)
            result["load"] = os.getloadavg()[0]
            for name in ("since", "one", "modified"):
                times = in_turn({count: of[name] for count, of in works.items()})
                for count, ms in times.items():
                    result["sizes"][count][name]["ms"] = ms
                sent = [found[name]["bytes"] for found in result["sizes"].values()]
                result.setdefault("growth", {})[name] = {
                    "ms": round(max(times.values()) / min(times.values()), 2),
                    "bytes": round(max(sent) / min(sent), 2)}
            print(json.dumps(result), file=sys.stderr)
            for count in (count for count in sizes if count <= 10_000):
                found, connection = result["sizes"][count], servers[count][1]
                bodies, paths, again = [], [], []
                found["walk"] = {form: walk(connection, form) for form in ("ttl", "jsonld", "rdf")}
                found["walk"]["nt"] = walk(connection, "nt", bodies, paths)
                plain = sum(len(gzip.decompress(body)) for body in bodies)
                ours = Reader(connection.port)
                head = ours.head(paths[0])
                static = Static(os.path.join(folder, f"static-{count}"), bodies, head)
                # As nginx is without being told: it reads the file and writes it.
                copying = Static(os.path.join(folder, f"copying-{count}"), bodies, head, 19_091, "off")
                for _ in range(45):
                    # Ours and the files in turn, by the same client.
                    wire, seconds = ours.fetch(paths)
                    same_bytes, theirs = static.reader.fetch(static.paths())
                    _, copied = copying.reader.fetch(copying.paths())
                    if wire != same_bytes:
                        raise SystemExit("what is cached is not what was sent")
                    again.append([number / 1e6 for number in (
                        wire / seconds, plain / seconds, wire / theirs, wire / copied)])
                ours.close()
                static.close()
                copying.close()
                found["again"] = {name: round(statistics.median(column), 1) for name, column in zip(
                    ("wire_MB_s", "plain_MB_s", "static_wire_MB_s", "copying_wire_MB_s"), zip(*again))}
                found["again"]["of_static"] = round(statistics.median(row[0] / row[2] for row in again), 2)
                found["again"]["of_copying"] = round(statistics.median(row[0] / row[3] for row in again), 2)
                found["again"]["static_server"] = static.name
                data = os.path.join(folder, f"data-{count}")
                change(data, sample, count, number)
                found["changed"] = walk(connection, "ttl")
        finally:
            for server, _ in servers.values():
                server.terminate()
            for server, _ in servers.values():
                server.wait()
        if 10_000 in sizes:
            dumped = dump(os.path.join(folder, "data-10000"), folder)
            found = result["sizes"][10_000]
            found["dump_MB_s"], found["ratio"] = dumped, {
                name: round(of["plain_MB_s"] / dumped)
                for name, of in (*found["walk"].items(), ("again", found["again"]), ("changed", found["changed"]))}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
