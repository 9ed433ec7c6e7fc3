#!/usr/bin/env python3
"""Hostile requests to /sparql: generated from tables, judged by what the answer may be.

    sparql.py BASE --seconds N [--pid SERVER]

Each row of a table is a family, a way to make requests, and the answers that are right for it. A
request holds when its answer is one of those and comes within N seconds, the margin in which a worker
ends itself, and the start of the next one. In the end the server must answer a plain query with what
it answered before, and, with --pid, use about as much memory as before.
"""
import argparse
import concurrent.futures
import http.client
import os
import re
import socket
import sys
import time
import urllib.parse

# A worker waits two seconds longer than the server, and one that was ended is started again for the
# next query; the rest is a busy machine.
GRACE = 8.0
MEMORY = 200 << 20

REFUSED = {400}
BOUNDED = {200, 400, 503}
QUERY = "application/sparql-query"
FORM = "application/x-www-form-urlencoded"


def nested(opening, closing, depth, inside=""):
    return opening * depth + inside + closing * depth


def depths(*levels):
    return levels


def parser_bombs():
    """Text that is small and deep: 6 kB of it overflow the parser's stack."""
    shapes = [
        ("parentheses", lambda n: "SELECT * { FILTER(" + nested("(", ")", n, "1") + ") }"),
        ("groups", lambda n: "SELECT * " + nested("{", "}", n)),
        ("optionals", lambda n: "SELECT * { ?s ?p ?o " + nested("OPTIONAL { ?s ?p ?o ", "}", n) + "}"),
        ("unions", lambda n: "SELECT * " + nested("{ {} UNION ", "}", n, "{}")),
        ("minus", lambda n: "SELECT * { ?s ?p ?o " + nested("MINUS { ?s ?p ?o ", "}", n) + "}"),
        ("exists", lambda n: "SELECT * { ?s ?p ?o " + nested("FILTER EXISTS { ?s ?p ?o ", "}", n) + "}"),
        ("sub-selects", lambda n: "SELECT * " + nested("{ SELECT * ", "}", n, "{}")),
        ("collections", lambda n: "SELECT * { ?s ?p " + nested("(", ")", n) + " }"),
        ("blank nodes", lambda n: "SELECT * { ?s ?p " + nested("[ ?p ", "]", n, "1") + " }"),
        ("path groups", lambda n: "SELECT * { ?s " + nested("(", ")", n, "<x:p>") + " ?o }"),
        ("negated paths", lambda n: "SELECT * { ?s " + nested("!(", ")", n, "<x:p>") + " ?o }"),
        ("negations", lambda n: "SELECT * { FILTER(" + "!" * n + "true) }"),
        ("minus signs", lambda n: "SELECT * { FILTER(" + "- " * n + "1) }"),
        ("plus signs", lambda n: "SELECT * { FILTER(" + "+" * n + "1) }"),
        ("carets", lambda n: "SELECT * { ?s " + "^" * n + "<x:p> ?o }"),
        ("calls", lambda n: "SELECT * { FILTER(" + nested("STR(", ")", n, "1") + ") }"),
        ("ifs", lambda n: "SELECT * { FILTER(" + nested("IF(true, true, ", ")", n, "true") + ") }"),
        ("quoted triples", lambda n: "SELECT * { " + nested("<< ", " >>", n, "<x:a> <x:b> <x:c>") + " ?p ?o }"),
        ("mixed brackets", lambda n: "SELECT * { FILTER(" + nested("([{", "}])", n) + ") }"),
    ]
    for name, make in shapes:
        for depth in depths(101, 1000, 3000):
            yield f"{name} {depth} deep", make(depth), {400, 413}


def hidden_depth():
    """Depth behind what a scanner may take for a string, an IRI or a comment."""
    deep = nested("(", ")", 3000, "1")
    for name, text in [
        ("after an apostrophe in a string", f'SELECT * {{ FILTER("it\'s" = {deep}) }}'),
        ("after an escaped quote", f'SELECT * {{ FILTER("\\"" = {deep}) }}'),
        ("after a long string", f'SELECT * {{ FILTER("""a"b""" = {deep}) }}'),
        ("after less-than", f"SELECT * {{ FILTER(1 < {deep} && 2 > 1) }}"),
        ("after a comment", f"SELECT * {{ # it's <\n FILTER({deep}) }}"),
        ("after a comment ended by a carriage return", f"SELECT * {{ #'\r FILTER({deep}) }}"),
        ("after an IRI with a hash", f"SELECT * {{ <x:#a> ?p ?o FILTER({deep}) }}"),
        ("after a prefixed name with escapes", f"PREFIX p: <x:> SELECT * {{ p:a\\'b ?p ?o FILTER({deep}) }}"),
        ("by unicode escapes", "SELECT * { FILTER(" + "\\u0028" * 2000 + "1" + "\\u0029" * 2000 + ") }"),
    ]:
        yield name, text, REFUSED


def updates():
    for text in [
        "INSERT DATA { <x:a> <x:b> <x:c> }", "DELETE DATA { <x:a> <x:b> <x:c> }", "DELETE WHERE { ?s ?p ?o }",
        "DELETE { ?s ?p ?o } INSERT { ?s ?p 1 } WHERE { ?s ?p ?o }", "LOAD <http://127.0.0.1:1/>",
        "LOAD SILENT <file:///etc/passwd>", "LOAD <http://169.254.169.254/> INTO GRAPH <x:g>", "CLEAR ALL",
        "CLEAR DEFAULT", "DROP ALL", "DROP GRAPH <x:g>", "CREATE GRAPH <x:g>", "COPY <x:a> TO <x:b>",
        "MOVE <x:a> TO <x:b>", "ADD <x:a> TO <x:b>", "insert data { <x:a> <x:b> 1 }",
        "PREFIX x: <x:> INSERT { ?s x:p 1 } WHERE { ?s ?p ?o }", "#\nDROP ALL", "BASE <x:> LOAD <a>",
        "SELECT * {} ; DROP ALL", "WITH <x:g> DELETE { ?s ?p ?o } WHERE { ?s ?p ?o }",
    ]:
        yield text[:40], text, REFUSED


def services():
    for target in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/", "http://169.254.169.254/",
                   "http://10.0.0.1/", "file:///etc/passwd", "http://2130706433:1/"]:
        yield f"of {target}", f"SELECT * {{ SERVICE <{target}> {{ ?s ?p ?o }} }}", REFUSED
    for name, text in [
        ("silent", "SELECT * { SERVICE SILENT <http://127.0.0.1:1/> { ?s ?p ?o } }"),
        ("by a variable", "SELECT * { ?s ?p ?g SERVICE ?g { ?a ?b ?c } }"),
        ("in small letters", "SELECT * { service <http://127.0.0.1:1/> { ?s ?p ?o } }"),
        ("without a space", "SELECT * {SERVICE<http://127.0.0.1:1/>{?s ?p ?o}}"),
        ("after a comment", "SELECT * { #\nSERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"),
        ("in an optional", "SELECT * { OPTIONAL { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } } }"),
        ("in a construct", "CONSTRUCT { ?s ?p ?o } WHERE { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"),
        ("by escapes", "SELECT * { \\u0053ERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"),
        ("times a hundred", "SELECT * { " + "SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } " * 100 + "}"),
    ]:
        yield name, text, REFUSED


def remote_graphs():
    """A graph that is named is not fetched: one that is not published is empty."""
    for target in ["http://127.0.0.1:1/", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/"]:
        yield f"FROM {target}", f"SELECT * FROM <{target}> {{ ?s ?p ?o }}", {200}
        yield f"FROM NAMED {target}", f"SELECT * FROM NAMED <{target}> {{ GRAPH ?g {{ ?s ?p ?o }} }}", {200}
        yield f"GRAPH {target}", f"SELECT * {{ GRAPH <{target}> {{ ?s ?p ?o }} }}", {200}
    yield "3,000 graphs", "SELECT * " + "".join(f"FROM <x:{n}>" for n in range(1400)) + "{ ?s ?p ?o }", BOUNDED


def costly():
    """Small text, endless work: ended by time, rows, size or memory."""
    product = lambda n: " ".join(f"?s{i} ?p{i} ?o{i} ." for i in range(n))
    for n in (2, 3, 4, 5, 6, 8, 10, 12, 20):
        yield f"product of {n}", f"SELECT * {{ {product(n)} }}", BOUNDED
        yield f"count of a product of {n}", f"SELECT (COUNT(*) AS ?n) {{ {product(n)} }}", BOUNDED
    for n in (3, 6):
        yield f"sorted product of {n}", f"SELECT * {{ {product(n)} }} ORDER BY ?o0 ?o1", BOUNDED
        yield f"distinct product of {n}", f"SELECT DISTINCT ?s0 ?o1 {{ {product(n)} }}", BOUNDED
        yield f"grouped product of {n}", f"SELECT ?s0 (COUNT(*) AS ?n) {{ {product(n)} }} GROUP BY ?s0", BOUNDED
        yield f"joined product of {n}", ("SELECT (GROUP_CONCAT(CONCAT(STR(?o0), STR(?o1))) AS ?n) { "
                                         f"{product(n)} }}"), BOUNDED
        yield f"construct of a product of {n}", ("CONSTRUCT { ?s0 ?p1 ?o2 } WHERE { " + product(max(n, 3)) + " }"), BOUNDED
        yield f"ask of a product of {n}", f"ASK {{ {product(n)} FILTER(?o0 = ?o1 && ?s0 = 1) }}", BOUNDED
        yield f"minus of a product of {n}", f"SELECT * {{ {product(n)} MINUS {{ {product(n)} }} }}", BOUNDED
    everything = "(<x:a>|!<x:a>)"
    for path in [f"{everything}*", f"{everything}+", f"({everything}|^{everything})*", f"({everything}/{everything})*",
                 f"({everything}*/{everything}*)*", f"({everything}?)*", f"^({everything}*)", f"({everything}*)*",
                 "/".join([everything] * 30), "|".join([f"<x:{n}>*" for n in range(200)]),
                 "/".join([f"({everything})?"] * 20), f"!(<x:a>|^<x:b>)*"]:
        yield f"path {path[:40]}", f"SELECT * {{ ?s {path} ?o }}", BOUNDED
        yield f"count of path {path[:40]}", f"SELECT (COUNT(*) AS ?n) {{ ?s {path} ?o . ?o {path} ?z }}", BOUNDED
    for pattern in ["(a+)+$", "(a|a)*b", "(.*)*x", "((a*)*)*", "(x+x+)+y", "a{1000}{1000}", "(?:a{100}){100}{100}",
                    ".{50000}", "(" * 50 + "a" + ")*" * 50, "[" + "a-z" * 3000 + "]", "(a?){60}a{60}", "\\\\p{L}{5000}"]:
        long = "a" * 2000
        yield f"regex {pattern[:30]}", f'SELECT * {{ ?s ?p ?o FILTER(REGEX("{long}!", "{pattern}")) }}', BOUNDED
        yield f"replace by {pattern[:30]}", (f'SELECT (REPLACE(STR(?o), "{pattern}", "$0$0$0$0") AS ?x) '
                                             "{ ?s ?p ?o }"), BOUNDED
    doubled = "".join(f"BIND(CONCAT(?x{n},?x{n}) AS ?x{n + 1}) " for n in range(60))
    yield "a string doubled 60 times", f'SELECT * {{ BIND("aaaaaaaa" AS ?x0) {doubled} }}', BOUNDED
    for count in (10, 24, 30):
        bits = " ".join(f"VALUES ?b{n} {{ 0 1 }}" for n in range(count))
        yield f"{count} bits", f"SELECT * {{ {bits} }}", BOUNDED
        yield f"the count of {count} bits", f"SELECT (COUNT(*) AS ?n) {{ {bits} }}", BOUNDED
    values = " ".join(str(n) for n in range(3000))
    yield "3,000 values", f"SELECT * {{ VALUES ?x {{ {values} }} }}", {200, 400}
    yield "3,000 values squared", f"SELECT * {{ VALUES ?x {{ {values[:6000]} }} VALUES ?y {{ {values[:6000]} }} }}", BOUNDED
    yield "values cubed and sorted", ("SELECT * { " + " ".join(
        f"VALUES ?x{n} {{ {values[:3000]} }}" for n in range(3)) + " } ORDER BY ?x0 ?x1 ?x2"), BOUNDED
    yield "offset beyond everything", "SELECT * { ?s ?p ?o } OFFSET 999999999999", BOUNDED
    yield "offset that is no number", "SELECT * { ?s ?p ?o } OFFSET 99999999999999999999999999", REFUSED
    yield "limit that is no number", "SELECT * { ?s ?p ?o } LIMIT -1", REFUSED
    yield "describe everything", "DESCRIBE * { ?s ?p ?o . ?a ?b ?c }", BOUNDED
    yield "everything twice over unions", "SELECT * { " + " UNION ".join(["{ ?s ?p ?o }"] * 200) + " }", BOUNDED
    yield "optionals in a row", "SELECT * { " + " ".join(f"OPTIONAL {{ ?a ?b{n} ?c{n} }}" for n in range(12)) + " }", BOUNDED
    yield "filters that never hold", "SELECT * { " + product(4) + " FILTER(?o0 + ?o1 + ?o2 + ?o3 = 17.3) }", BOUNDED
    yield "numbers too large", "SELECT (" + "9" * 5000 + " AS ?x) {}", BOUNDED
    yield "decimals too long", "SELECT (1." + "0" * 5000 + "1 * 3 AS ?x) {}", BOUNDED
    yield "dates too large", 'SELECT (YEAR("999999999999-01-01T00:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>) AS ?x) {}', BOUNDED


def texts():
    """What is no query, or far too much of one."""
    for size in (16_385, 100_000, 1_000_000):
        yield f"{size} bytes of blanks", "SELECT * {}" + " " * size, {400, 413}
        yield f"{size} bytes of a string", f'SELECT * {{ FILTER("{"x" * size}" = 1) }}', {400, 413}
        yield f"{size} bytes of an IRI", f"SELECT * {{ <x:{'a' * size}> ?p ?o }}", {400, 413}
        yield f"{size} bytes of a comment", "SELECT * {} #" + "x" * size, {400, 413}
        yield f"{size} bytes of variables", "SELECT " + "?x " * (size // 3) + "{}", {400, 413}
    for name, text in [
        ("nothing", ""), ("a blank", " "), ("a NUL", "\0"), ("a NUL in a string", 'SELECT ("\0" AS ?x) {}'),
        ("a byte order mark", "\ufeffSELECT * {}"), ("bidi letters", "SELECT \u202e* {}"), ("half a query", "SELECT * {"),
        ("only a brace", "}"), ("two queries", "SELECT * {} SELECT * {}"), ("an open string", 'SELECT * { FILTER("'),
        ("an open long string", 'SELECT * { FILTER("""'), ("an open IRI", "SELECT * { <x:a"), ("HTML", "<script>alert(1)</script>"),
        ("SQL", "SELECT * FROM dataset; DROP TABLE dataset"), ("JSON", '{"query":"x"}'), ("XML", "<?xml version='1.0'?><a/>"),
        ("an unknown prefix", "SELECT * { x:a ?p ?o }"), ("an unknown function", "SELECT (<x:f>(1) AS ?x) {}"),
        ("an unbound aggregate", "SELECT (SUM(?x) AS ?x) {}"), ("a relative IRI", "SELECT * { <../../etc/passwd> ?p ?o }"),
        ("a bad escape", 'SELECT ("\\q" AS ?x) {}'), ("a lone surrogate", 'SELECT ("\\uD800" AS ?x) {}'),
        ("a code point too large", 'SELECT ("\\U00110000" AS ?x) {}'),
    ]:
        # A NUL is a letter of a string; a sum of nothing is 0; an unknown function may be an error of one row.
        is_odd = name in ("a NUL in a string", "an unbound aggregate", "an unknown function")
        right = {200, 400} if is_odd else REFUSED
        yield name, text, right


FAMILIES = [("parser bomb", parser_bombs), ("hidden depth", hidden_depth), ("update", updates),
            ("SERVICE", services), ("remote graph", remote_graphs), ("costly", costly), ("text", texts)]


def wire(base):
    """Requests that are wrong before they are queries: method, address, headers, right answers."""
    plain = "SELECT%20*%20%7B%7D"
    for name, tail in [
        ("half an escape", "query=SELECT%2"), ("an escape of no digits", "query=%zz"), ("bytes that are no UTF-8", "query=%ff%fe"),
        ("an overlong escape", "query=%c0%ae"), ("no name", "=x"), ("only ampersands", "&&&&"), ("another name", "q=" + plain),
        ("two queries", f"query={plain}&query={plain}"), ("an update beside", f"query={plain}&update=DROP%20ALL"),
        ("an update alone", "update=DROP%20ALL"), ("a graph that is no IRI", f"query={plain}&default-graph-uri=%20"),
        ("1,001 graphs", f"query={plain}" + "".join(f"&named-graph-uri=x:{n}" for n in range(1001))),
        ("an address of 20 kB", "query=" + "a" * 20_000), ("an address of 70 kB", "query=" + "a" * 70_000),
        ("10,000 parameters", "&".join(f"a{n}=1" for n in range(10_000)) + f"&query={plain}"),
        ("a NUL in a graph", f"query={plain}&named-graph-uri=x:%00"),
    ]:
        yield f"GET {name}", "GET", f"/sparql?{tail}", {}, b"", {400, 413, 414, 431}
    body = b"SELECT * {}"
    for kind in ["application/sparql-update", "text/plain", "application/json", "multipart/form-data; boundary=x", "",
                 "application/sparql-query" + "x" * 5000, "text/turtle", "application/xml", "*/*"]:
        yield f"POST as {kind[:40] or 'nothing'}", "POST", "/sparql", {"Content-Type": kind}, body, {400, 415}
    for size in (300_000, 3_000_000, 20_000_000):
        yield f"POST of {size} bytes", "POST", "/sparql", {"Content-Type": QUERY}, b"#" * size, {400, 413}
        yield f"form of {size} bytes", "POST", "/sparql", {"Content-Type": FORM}, b"query=" + b"a" * size, {400, 413}
    yield "POST that is no UTF-8", "POST", "/sparql", {"Content-Type": QUERY}, b"SELECT * { FILTER('\xff') }", {400}
    yield "form that is no UTF-8", "POST", "/sparql", {"Content-Type": FORM}, b"query=\xff\xfe", {400}
    yield "POST of nothing", "POST", "/sparql", {"Content-Type": QUERY}, b"", {400}
    yield "form of nothing", "POST", "/sparql", {"Content-Type": FORM}, b"", {400}
    # A coding that a server does not take may be refused, or the bytes read as they are and refused then.
    yield "gzip that is none", "POST", "/sparql", {"Content-Type": QUERY, "Content-Encoding": "gzip"}, body, {200, 400, 413, 415}
    import gzip
    bomb = gzip.compress(b"#" * (50 << 20))
    yield "a gzip bomb", "POST", "/sparql", {"Content-Type": QUERY, "Content-Encoding": "gzip"}, bomb, {400, 413, 415}
    for accept in ["image/png", "text/turtle", "a" * 20_000, "*/*;q=0", "text/csv;q=x", ","]:
        yield f"SELECT for {accept[:30]}", "GET", f"/sparql?query={plain}", {"Accept": accept}, b"", {200, 400, 406, 431}
    for accept in ["text/csv", "image/png"]:
        yield (f"CONSTRUCT for {accept}", "GET", "/sparql?query=CONSTRUCT%20WHERE%20%7B%3Fs%20%3Fp%20%3Fo%7D",
               {"Accept": accept}, b"", {406})
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "BREW"]:
        yield method, method, f"/sparql?query={plain}", {}, b"", {404, 405, 501}


def ask(base, method, path, headers, body, patience):
    """Status and body; a connection that the server closes on too large a request has no status."""
    at = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=patience)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            if body:
                connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It has answered already, and reads no more.
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
        return 0, b""
    finally:
        connection.close()


def memory(pid):
    """Resident bytes of the server, and of it with its workers."""
    def of(process):
        try:
            with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
                found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
            return int(found.group(1)) << 10 if found else 0
        except OSError:
            return 0
    children = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                    if file.read().rsplit(")", 1)[1].split()[1] == str(pid):
                        children.append(entry)
            except OSError:
                pass
    own = of(pid)
    return own, own + sum(of(child) for child in children)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    limit = options.seconds + GRACE
    plain = "SELECT ?d ?t { ?d a <http://www.w3.org/ns/dcat#Dataset> ; <http://purl.org/dc/terms/title> ?t } ORDER BY ?d ?t"

    def query(text, method="POST"):
        if method == "GET":
            return ask(options.base, "GET", "/sparql?query=" + urllib.parse.quote(text, safe=""), {}, b"", limit + 30)
        return ask(options.base, "POST", "/sparql", {"Content-Type": QUERY}, text.encode(), limit + 30)

    status, before = query(plain)
    if status != 200 or before.count(b'"d"') < 2:
        print(f"FAIL the plain query before: {status}")
        return 1
    memory_before = memory(options.pid) if options.pid else None
    failed, counts, slowest = 0, {}, (0.0, "")
    texts_of_storm = []

    def judge(family, name, status, right, took):
        nonlocal failed, slowest
        done = counts.setdefault(family, [0, 0, {}])
        done[0] += 1
        done[2][status] = done[2].get(status, 0) + 1
        slowest = max(slowest, (took, f"{family}: {name}"))
        if status not in right or took > limit:
            failed += 1
            done[1] += 1
            print(f"FAIL {family}: {name}: {status or 'no answer'} in {took:.1f} s; right: {sorted(right)} in {limit:.0f} s")

    for family, make in FAMILIES:
        for name, text, right in make():
            began = time.monotonic()
            status, body = query(text, "GET" if len(text) < 4000 and counts.get(family, [0])[0] % 2 else "POST")
            judge(family, name, status, right, time.monotonic() - began)
            if status >= 400 and b'"status"' not in body:
                failed += 1
                print(f"FAIL {family}: {name}: {status} without a problem document: {body[:80]!r}")
            if family == "costly":
                texts_of_storm.append((name, text))
    for name, method, path, headers, body, right in wire(options.base):
        began = time.monotonic()
        status, answer = ask(options.base, method, path, headers, body, limit + 30)
        # Too large a request may be answered by closing the connection while it is still being sent.
        judge("wire", name, status, right | ({0} if len(body) > 1_000_000 or len(path) > 60_000 else set()), time.monotonic() - began)

    # A storm: 40 costly queries at once. Those that find no place are turned away, and care is not kept waiting.
    at = urllib.parse.urlsplit(options.base)
    health = 0.0
    with concurrent.futures.ThreadPoolExecutor(44) as pool:
        begun = time.monotonic()
        storm = [pool.submit(query, text) for _, text in texts_of_storm[:40]]
        while not all(one.done() for one in storm):
            began = time.monotonic()
            status, _ = ask(options.base, "GET", "/healthz", {}, b"", 30)
            health = max(health, time.monotonic() - began)
            if status != 200:
                failed += 1
                print(f"FAIL storm: /healthz answers {status}")
            time.sleep(0.2)
        for one in storm:
            status, _ = one.result()
            judge("storm", "one of 40", status, BOUNDED, 0.0)
        print(f"storm: 40 at once, over in {time.monotonic() - begun:.1f} s; /healthz at most {health:.2f} s")

    # Clients that go away in the middle.
    for _ in range(10):
        with socket.create_connection((at.hostname, at.port)) as gone:
            gone.sendall(b"POST /sparql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sparql-query\r\nContent-Length: 60\r\n\r\n"
                         b"SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o"[:110])
    deadline = time.monotonic() + 60
    status, after = query(plain)
    while status == 503 and time.monotonic() < deadline:
        time.sleep(1)
        status, after = query(plain)
    if status != 200 or after != before:
        failed += 1
        print(f"FAIL the plain query afterwards: {status}, {'other' if after != before else 'same'} bytes")
    total = 0
    for family, (number, bad, statuses) in counts.items():
        total += number
        shown = ", ".join(f"{count} × {status or 'closed'}" for status, count in sorted(statuses.items()))
        print(f"{family}: {number} requests, {bad} failed ({shown})")
    print(f"slowest: {slowest[0]:.1f} s of {limit:.0f} ({slowest[1]})")
    if memory_before:
        own, whole = memory(options.pid)
        print(f"memory: server {memory_before[0] >> 20} → {own >> 20} MiB, with workers {whole >> 20} MiB")
        if own > memory_before[0] + MEMORY:
            failed += 1
            print(f"FAIL the server keeps {(own - memory_before[0]) >> 20} MiB more than before")
    print(f"{total} hostile requests, {failed} failures")
    return 1 if failed or total < 300 else 0


if __name__ == "__main__":
    sys.exit(main())
