"""The hostile catalogues, as tables: family, what it says, and the codes that are right for it.

`@B@` is the case's own base, `@T@` the trap that nobody may reach, `@P@` its port. A case names the
codes of which the report must show one; none: the report must show nothing wrong. `kept` is how many
datasets may stand as current afterwards.
"""
import gzip
import socket
import zlib

from site_of import OK, answer, drip, flood, redirect, reset, silence

PREFIXES = ("@prefix dcat: <http://www.w3.org/ns/dcat#> .\n@prefix dct: <http://purl.org/dc/terms/> .\n"
            "@prefix hydra: <http://www.w3.org/ns/hydra/core#> .\n@prefix ldp: <http://www.w3.org/ns/ldp#> .\n"
            "@prefix adms: <http://www.w3.org/ns/adms#> .\n@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
            "@prefix fdp: <https://w3id.org/fdp/fdp-o#> .\n")


def dataset(name="a", more="", iri=None, title='"A synthetic dataset"@en'):
    return (f"<{iri or '@B@/d/' + name}> a dcat:Dataset ; dct:title {title} ; dct:description \"d\"@en ; {more}\n"
            f"dcat:distribution <@B@/d/{name}/1> .\n<@B@/d/{name}/1> dcat:accessURL <https://example.org/> .\n")


def turtle(*parts):
    return PREFIXES + "".join(parts)


GOOD = turtle(dataset())


class Case:
    def __init__(self, family, name, first, codes=(), kept=0, kind="dcat", url="@B@/catalog.ttl", more=None, **config):
        self.family, self.name, self.codes, self.kept = family, name, set(codes), kept
        self.kind, self.url, self.config = kind, url, config
        self.paths = {"/catalog.ttl": first, **(more or {})}


def body(family, name, text, codes=(), kept=0, media="text/turtle", **rest):
    return Case(family, name, ("body", text, media), codes, kept, **rest)


def private():
    """Addresses inside, in every spelling, as a redirect, as a link and as the source itself."""
    hosts = ["127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
             "0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]",
             "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "LOCALHOST", "localhost.", "ip6-localhost",
             socket.gethostname(), "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1",
             "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]",
             "[ff02::1]", "[2001:db8::1]", "192.0.2.1"]
    inside = {"private-address", "no-address", "redirect"}
    for host in hosts:
        yield Case("redirect inside", host, redirect(f"http://{host}:@P@/"), inside)
    for host in hosts[:8] + hosts[10:12] + ["localhost", "169.254.169.254"]:
        yield Case("source inside", host, b"", inside, url=f"http://{host}:@P@/catalog.ttl")
    for name, text, kind in [
        ("hydra:next", "<@B@/c> hydra:next <@T@/page> .", "hydra"),
        ("hydra:nextPage as a literal", '<@B@/c> hydra:nextPage "@T@/page" .', "ckan"),
        ("ldp:contains", "<@B@/c> ldp:contains <@T@/page> .", "fdp"),
        ("fdp-o:metadataCatalog", "<@B@/c> fdp:metadataCatalog <@T@/page> .", "fdp"),
        ("dcat:catalog", "<@B@/c> dcat:catalog <@T@/page> .", "fdp"),
        ("a link without a scheme", "<@B@/c> hydra:next <//127.0.0.1:@P@/page> .", "hydra"),
    ]:
        yield body("link inside", name, turtle(text), {"elsewhere"}, kind=kind)
    yield body("link inside", "dcat:dataset", turtle("<@B@/c> a dcat:Catalog ; dcat:dataset <@T@/d/a> ."), {"foreign-namespace"})
    for name, text in [
        ("owl:imports", "<@B@/c> <http://www.w3.org/2002/07/owl#imports> <@T@/o> ."),
        ("rdfs:seeAlso", "<@B@/d/a> <http://www.w3.org/2000/01/rdf-schema#seeAlso> <@T@/o> ."),
        ("a download", "<@B@/d/a/1> dcat:downloadURL <@T@/file> ."),
        ("a landing page", "<@B@/d/a> dcat:landingPage <@T@/page> ."),
        ("a profile", "<@B@/d/a> dct:conformsTo <@T@/profile> ."),
        ("a data service", "<@B@/d/a/1> dcat:accessService <@T@/service> ."),
        ("a SPARQL endpoint", "<@B@/d/a/1> <http://rdfs.org/ns/void#sparqlEndpoint> <@T@/sparql> ."),
    ]:
        yield body("never fetched", name, GOOD + text, (), 1)
    # The name of a dataset is fetched when nothing describes it: also through what the name leads to.
    yield Case("redirect inside", "of a dataset that is only named", ("body", turtle(
        "<@B@/c> a dcat:Catalog ; dcat:dataset <@B@/d/a> ."), "text/turtle"), inside,
        more={"/d/a": redirect("http://localhost:@P@/d/a")})
    yield Case("redirect inside", "after four others", redirect("@B@/1"), inside, more={
        "/1": redirect("@B@/2"), "/2": redirect("@B@/3"), "/3": redirect("@B@/4"), "/4": redirect("http://127.1:@P@/")})


def schemes():
    for target in ["file:///etc/passwd", "gopher://127.0.0.1:@P@/", "ftp://127.0.0.1:@P@/", "javascript:alert(1)",
                   "data:text/turtle,x", "jar:http://127.0.0.1!/", "ldap://127.0.0.1:@P@/", "unix:/run/x", "ws://127.0.0.1:@P@/"]:
        yield Case("redirect scheme", target, redirect(target), {"scheme", "redirect", "no-host"})
    for name, say in [("to itself", redirect("@B@/catalog.ttl")), ("to itself, relative", redirect("")),
                      ("to nothing", redirect("http://")), ("to a fragment", redirect("#x")),
                      ("with user and password", redirect("http://u:p@@H@/x")), ("with a user", redirect("http://u@@H@/x")),
                      ("without Location", answer("", status="302 Found")),
                      ("of 300 with Location", redirect("@B@/x", "300 Multiple Choices")),
                      ("to 70 kB", redirect("@B@/" + "x" * 70_000)), ("to a bad port", redirect("http://example.org:99999/"))]:
        yield Case("redirect odd", name, say, {"redirects", "redirect", "credentials", "status", "no-answer", "long-iri"})
    yield Case("redirect odd", "in a circle of two", redirect("@B@/1"), {"redirects"}, more={"/1": redirect("@B@/catalog.ttl")})


def slow():
    # The limit of an answer is two seconds.
    late = {"cut-off", "too-slow", "no-answer"}
    for name, say in [
        ("a byte of the body now and then", drip([b"#"] * 200, 0.2)),
        ("a byte of the head now and then", drip([b"X-A: b\r\n"] * 200, 0.2, b"HTTP/1.1 200 OK\r\n")),
        ("a byte of the status line now and then", drip([b"H", b"T", b"T", b"P"] * 50, 0.3, b"")),
        ("nothing at all", silence(12)), ("a head, then nothing", drip([b""] * 60, 0.2)),
        ("chunks of one byte", drip([b"1\r\n#\r\n"] * 200, 0.2, OK + b"Content-Type: text/turtle\r\nTransfer-Encoding: chunked\r\n\r\n")),
        ("all but the last byte", drip([GOOD.encode()] + [b""] * 60, 0.2, OK + b"Content-Type: text/turtle\r\nContent-Length: 99999\r\n\r\n")),
    ]:
        yield Case("slow", name, say, late)
    yield Case("slow", "each hop of a redirect a second", ("late", 1, redirect("@B@/catalog.ttl")), late)


def sizes():
    head = OK + b"Content-Type: text/turtle\r\n"
    large = {"too-large", "cut-off", "too-slow", "no-answer"}
    for name, say in [
        ("Content-Length of a terabyte", answer("#", length=1 << 40)),
        ("Content-Length too long for a number", (OK + b"Content-Type: text/turtle\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n#")),
        ("negative Content-Length", (OK + b"Content-Type: text/turtle\r\nContent-Length: -1\r\n\r\n#")),
        ("two lengths", (OK + b"Content-Type: text/turtle\r\nContent-Length: 1\r\nContent-Length: 9\r\n\r\n#")),
        ("a flood without a length", flood(head + b"\r\n", b"#" * 65_536, 1 << 31)),
        ("a flood of chunks", flood(head + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"#" * 65_536 + b"\r\n", 1 << 31)),
        ("a chunk of 2^63 bytes", head + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n#"),
        ("a flood of headers", flood(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 1000 + b"\r\n", 1 << 28)),
        ("one header without end", flood(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 65_536, 1 << 28)),
        ("a status line without end", flood(b"HTTP/1.1 200 ", b"b" * 65_536, 1 << 28)),
        ("a byte more than the limit", answer(b"#" * ((4 << 20) + 1))),
    ]:
        yield Case("size", name, say, large)
    yield body("size", "exactly the limit", GOOD + "#" * ((4 << 20) - 4_000), (), 1)
    whole = GOOD.encode()
    for coding, data in [("deflate", zlib.compress(whole)), ("br", b"\x0b\x02\x80"), ("zstd", b"\x28\xb5\x2f\xfd"),
                         ("gzip, gzip", gzip.compress(gzip.compress(whole))), ("nonsense", whole), ("gzip", whole), ("gzip", b"\x1f\x8b")]:
        codes = {"coding", "cut-off"} if len(data) == 2 else {"coding"}
        yield Case("coding", f"{coding}, {len(data)} bytes", answer(data, head=f"Content-Encoding: {coding}\r\n"), codes)
    # Nobody asks for it, and some file servers send it all the same.
    for coding in ("gzip", "x-gzip", "GZIP"):
        yield Case("coding", f"{coding} as it should be", ("packed", GOOD, coding), (), 1)
    bomb = answer(gzip.compress(b"#" * (200 << 20)), head="Content-Encoding: gzip\r\n")
    yield Case("coding", "200 MiB in 200 kB", bomb, {"too-large"})
    cut = gzip.compress(whole)[:-40]
    yield Case("coding", "gzip that ends early", answer(cut, head="Content-Encoding: gzip\r\n"), {"cut-off", "coding"})
    yield Case("coding", "gzip that is not declared", answer(gzip.compress(whole)), {"not-text", "syntax"})
    yield Case("coding", "Transfer-Encoding: gzip", OK + b"Content-Type: text/turtle\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
               b"3\r\nabc\r\n0\r\n\r\n", {"no-answer", "cut-off", "syntax", "coding"})
    yield Case("coding", "identity", ("body", GOOD, "text/turtle", "Content-Encoding: identity\r\n"), (), 1)


def broken():
    cut = {"cut-off", "no-answer", "too-slow", "syntax", "status", "media-type"}
    data = GOOD.encode()
    for name, say in [
        ("half the length", answer(data[:200], length=len(data))), ("no body", answer("", length=len(data))),
        ("a chunk that ends early", OK + b"Content-Type: text/turtle\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
        ("a chunk with a bad size", OK + b"Content-Type: text/turtle\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
        ("reset at once", reset()), ("reset after the head", reset(OK + b"Content-Type: text/turtle\r\nContent-Length: 999\r\n\r\n")),
        ("closed at once", b""), ("nonsense", b"\x00\xff" * 500), ("HTTP/0.9", data), ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"), ("an SSH banner", b"SSH-2.0-x\r\n"), ("HTTP/9.9", b"HTTP/9.9 200 OK\r\n\r\n"),
        ("a status of letters", b"HTTP/1.1 abc OK\r\n\r\n"), ("a header without a colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        ("a NUL in a header", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n"), ("endless 100 Continue", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 1 << 24)),
    ]:
        yield Case("broken answer", name, say, cut)
    for status in [201, 202, 204, 205, 206, 226, 304, 305, 306, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 418, 421, 429,
                   451, 500, 501, 502, 503, 504, 505, 511, 599, 999]:
        head = {401: "WWW-Authenticate: Basic realm=x\r\n", 407: "Proxy-Authenticate: Basic realm=x\r\n",
                503: "Retry-After: 999999999\r\n", 429: "Retry-After: -1\r\n"}.get(status, "")
        yield Case("status", str(status), answer("", head=head, status=f"{status} X"), {"status", "no-answer"})


def forms():
    for media in ["text/html", "image/png", "multipart/mixed; boundary=x", "*/*", "turtle", "text/turtle2", "text/turtle/x",
                  "application/trig", "text/n3"]:
        yield body("media type", media, GOOD, {"media-type"}, media=media)
    # Another grammar than it says.
    for media in ["application/json", "application/xml", "text/xml"]:
        yield body("media type", media, GOOD, {"syntax"}, media=media)
    # What says nothing is read as what it shows; HTML shows that it is none.
    for media in ["text/plain", "application/octet-stream", ""]:
        yield body("media type", f"{media or 'none'} of Turtle", GOOD, (), 1, media=media)
        yield body("media type", f"{media or 'none'} of HTML", "<!doctype html><title>x</title>", {"media-type"}, media=media)
    yield body("media type", "in capitals with parameters", GOOD, (), 1, media="Text/Turtle ; charset=UTF-8; x=y")
    text = GOOD.replace("A synthetic", "Ž ά synthetic")
    for name, data, codes, kept in [
        ("UTF-16 with a mark", text.encode("utf-16"), {"not-text", "syntax"}, 0), ("UTF-16 without", text.encode("utf-16-le"), {"not-text", "syntax"}, 0),
        ("UTF-32", text.encode("utf-32"), {"not-text"}, 0), ("ISO 8859-1", GOOD.replace("A s", "Ä s").encode("latin-1"), {"not-text"}, 0),
        ("windows-1250", GOOD.replace("A s", "Ž s").encode("cp1250"), {"not-text"}, 0), ("half a letter at the end", GOOD.encode() + b"# \xc5", {"not-text"}, 0),
        ("an overlong letter", GOOD.encode() + b"# \xc0\xae", {"not-text"}, 0), ("surrogates", GOOD.encode() + b"# \xed\xa0\x80", {"not-text"}, 0),
        ("a NUL", GOOD.encode() + b"# \x00", {"not-text"}, 0), ("EBCDIC", text.encode("cp037", "replace"), {"not-text", "syntax"}, 0),
    ]:
        yield body("charset", name, data, codes, kept)
    for name, text in [
        ("nothing", ""), ("a comment", "# nothing"), ("only prefixes", PREFIXES),
    ]:
        yield body("empty", name, text, {"empty"})
    for name, text, media in [
        ("half a triple", "<@B@/d/a> a", "text/turtle"), ("an open string", '<@B@/d/a> <x:b> "', "text/turtle"), ("an open IRI", "<@B@/d/a", "text/turtle"),
        ("HTML", "<!doctype html><title>x</title>", "text/turtle"), ("JSON", "{}", "text/turtle"), ("an unknown prefix", "x:a x:b x:c .", "text/turtle"),
        ("half an object", '{"@id":"@B@/d/a"', "application/ld+json"), ("a bare word", "nothing", "application/ld+json"), ("an open element", "<rdf:RDF>", "application/rdf+xml"),
        ("an unknown entity", "<a>&x;</a>", "application/rdf+xml"), ("N-Triples with a relative IRI", "<a> <b", "application/n-triples"),
        ("a blank in an IRI", "<@B@/d/a b> a <x:c> .", "text/turtle"), ("a brace in an IRI", "<@B@/d/{a}> a <x:c> .", "text/turtle"),
        ("an escaped blank in an IRI", "<@B@/d/a\\u0020b> a <x:c> .", "text/turtle"), ("an escaped NUL in an IRI", "<@B@/d/a\\u0000> a <x:c> .", "text/turtle"),
    ]:
        yield body("syntax", name, text, {"syntax"}, media=media)


def depth():
    for levels in (65, 1_000, 100_000):
        for name, media, text in [
            ("[ ]", "text/turtle", PREFIXES + "<@B@/d/a> dct:x " + "[ dct:x " * levels + "]" * levels + " ."),
            ("( )", "text/turtle", PREFIXES + "<@B@/d/a> dct:x " + "( " * levels + ")" * levels + " ."),
            ("arrays", "application/ld+json", "[" * levels + "]" * levels),
            ("objects", "application/ld+json", '{"@graph":' * levels + "{}" + "}" * levels),
            ("contexts in contexts", "application/ld+json", '{"@context":{"a":{"@id":"x:a","@context":' * levels + "{}" + "}}}" * levels),
            ("elements", "application/rdf+xml", "<a>" * levels + "</a>" * levels),
        ]:
            yield body("depth", f"{name} {levels} deep", text, {"too-deep"}, media=media, document_mib=16)


def bombs():
    names = ",".join(f'"t{n}":"t{n - 1}:x"' for n in range(1, 5_000))
    for name, text, codes in [
        ("5,000 terms that name each other", '{"@context":{"t0":"x:",%s},"t4999":"y"}' % names, {"large-context"}),
        ("a term that names itself", '{"@context":{"a":"a:b"},"a":"x"}', {"syntax", ""}),
        ("two terms in a circle", '{"@context":{"a":"b:x","b":"a:x"},"a":"x"}', {"syntax", ""}),
        ("a remote context", '{"@context":"@T@/c","@id":"@B@/d/a"}', {"syntax"}),
        ("a list of remote contexts", '{"@context":["@T@/a","@T@/b"],"@id":"@B@/d/a"}', {"syntax"}),
        ("a relative context", '{"@context":"c","@id":"@B@/d/a"}', {"syntax"}),
        ("a context in a file", '{"@context":"file:///etc/passwd"}', {"syntax"}),
        ("an imported context", '{"@context":{"@version":1.1,"@import":"@T@/c"}}', {"syntax"}),
        ("a context of metadata", '{"@context":"http://169.254.169.254/latest/meta-data/"}', {"syntax"}),
        ("a number as @id", '{"@id":1}', {"syntax"}), ("a number as @context", '{"@context":5}', {"syntax"}),
        ("a number beyond every range", '{"@id":"@B@/d/a","http://x/":1e999999}', {"syntax", ""}),
        ("__proto__", '{"@id":"@B@/d/a","__proto__":{"@type":"x"}}', {""}),
        ("the same key 100,000 times", '{"@id":"@B@/d/a",' + ",".join(['"http://x/":1'] * 100_000) + "}", {"syntax", ""}),
    ]:
        yield body("JSON-LD", name, text, codes, media="application/ld+json")
    rdf = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://x/">%s</rdf:RDF>'
    described = rdf % '<rdf:Description rdf:about="@B@/d/a"><x:p>&b;</x:p></rdf:Description>'
    laughs = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 12))
    for name, text, codes in [
        ("a file as entity", f'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>{described}', {"entities"}),
        ("an address as entity", f'<!DOCTYPE a [<!ENTITY b SYSTEM "@T@/e">]>{described}', {"entities"}),
        ("a public entity", f'<!DOCTYPE a [<!ENTITY b PUBLIC "x" "@T@/e">]>{described}', {"entities"}),
        ("a parameter entity", f'<!DOCTYPE a [<!ENTITY % b SYSTEM "@T@/e"> %b;]>{described}', {"entities"}),
        ("a billion laughs", f'<!DOCTYPE a [<!ENTITY b0 "ha">{laughs}<!ENTITY b "&b11;">]>{described}', {"entities"}),
        ("a long entity often", f'<!DOCTYPE a [<!ENTITY b "{"x" * 100_000}">]>' + rdf % ("<x:T><x:p>" + "&b;" * 1000 + "</x:p></x:T>"), {"entities"}),
        ("an entity of itself", f'<!DOCTYPE a [<!ENTITY b "&b;">]>{described}', {"entities"}),
        ("in small letters", f'<!doctype a [<!entity b "c">]>{described}', {"entities", "syntax"}),
        ("in UTF-7", f'<?xml version="1.0" encoding="UTF-7"?>{described}', {"syntax"}),
        ("an external DTD", f'<!DOCTYPE a SYSTEM "@T@/dtd">{rdf % ""}', {"", "entities"}),
        ("XInclude", rdf % '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="@T@/i"/>', {"", "syntax"}),
        ("a stylesheet", f'<?xml-stylesheet href="@T@/s"?>{rdf % ""}', {""}),
        ("50,000 attributes", rdf % ("<x:T " + " ".join(f'x:a{n}="1"' for n in range(50_000)) + "/>"), {"", "syntax"}),
        ("50,000 namespaces", "<a " + " ".join(f'xmlns:a{n}="x:{n}"' for n in range(50_000)) + "/>", {"", "syntax"}),
        ("the same attribute twice", rdf % '<x:T x:a="1" x:a="2"/>', {"syntax", ""}),
    ]:
        yield body("RDF/XML", name, text, codes, media="application/rdf+xml")
    yield body("too long", "an IRI of 9 kB", f"<@B@/d/{'x' * 9_000}> a <x:c> .", {"long-iri"})
    yield body("too long", "a prefix of 900 kB, used often", f"@prefix p: <x:{'x' * 900_000}> .\n" + "p:a p:b p:c .\n" * 2_000, {"long-iri", "too-many-triples"})
    yield body("too long", "a prefix of 8 kB, used 400,000 times", f"@prefix p: <x:{'x' * 8_000}> .\n" + "".join(f"p:{n} p:b 1 .\n" for n in range(200_000)), {"long-iri", "too-many-triples"})
    yield body("too long", "a literal of 2 MB", turtle(dataset(more=f'dct:note "{"x" * (2 << 20)}" ;')), {"long-literal"})
    yield body("too long", "an IRI of a dataset of 3 kB", turtle(dataset(iri="@B@/d/" + "x" * 3_000)), {"long-iri"})
    yield body("too many", "1,100,000 statements", "<x:a> <x:b> " + ",".join(str(n) for n in range(1_100_000)) + " .", {"too-many-triples"}, document_mib=16)
    yield body("too many", "60,000 statements of a dataset", turtle(dataset(), "<@B@/d/a> dct:x " + ",".join(str(n) for n in range(60_000)) + " ."), {"large-dataset"})
    # A slow machine comes to the end of the time of the walk first.
    yield body("too many", "1,000 datasets that share 20,000 statements", turtle(
        "".join(dataset(str(n), "dct:relation <@B@/d/list> ;") for n in range(1_000)),
        "<@B@/d/list> dct:x " + ",".join(str(n) for n in range(20_000)) + " ."), {"too-costly", "endless"}, kept=range(200))
    yield body("too many", "10,000 datasets", turtle("".join(
        f'<@B@/d/{n}> a dcat:Dataset ; dct:title "t" ; dct:description "d" .\n' for n in range(10_000))), (), 10_000)


def blanks():
    clique = "<@B@/d/a> dct:x _:n0 .\n" + "".join(f"_:n{a} dct:y _:n{b} .\n" for a in range(40) for b in range(40) if a != b)
    ring = lambda n: "<@B@/d/a> dct:x _:n0 .\n" + "".join(f"_:n{a} dct:y _:n{(a + 1) % n} .\n" for a in range(n))
    alike = "".join(f"<@B@/d/a> dct:x _:n{a} .\n_:n{a} dct:y _:n{(a + 1) % 64} .\n" for a in range(64))
    regular = "<@B@/d/a> dct:x _:n0 . _:n0 dct:mark \"here\" .\n" + "".join(
        f"_:n{a} dct:y _:n{(a * 3 + s * s) % 400} .\n" for a in range(400) for s in (1, 7, 31, 90)) + "".join(
        f"<@B@/d/a> dct:z _:n{a} .\n" for a in range(400))
    for name, text, codes, kept in [
        ("40 that all know each other", clique, {"blank-nodes"}, 0), ("a ring of 64 that look alike", alike, {"blank-nodes"}, 0),
        ("a ring of 1,000 with a beginning", ring(1_000), {"blank-nodes"}, 0), ("a regular graph with one mark", regular, (), 1),
        ("6,000 in a row", "".join(f"<@B@/d/a> dct:x [ dct:y {n} ] .\n" for n in range(6_000)), {"blank-nodes"}, 0),
        ("1,000 that say the same", "<@B@/d/a> dct:x " + ", ".join(["[ dct:y 1 ]"] * 1_000) + " .", (), 1),
        ("datasets without an IRI", "[] a dcat:Dataset . _:x a dcat:Dataset .", {"no-iri"}, 1),
    ]:
        yield body("blank nodes", name, GOOD + text, codes, kept)


def claims():
    """A source writes its own namespace, and nothing else."""
    for name, iri in [
        ("another host", "http://other.example/d/a"), ("another folder", "@B@/e/a"), ("the namespace without its end", "@B@/d"),
        ("the folder above", "@B@/d/../e/a"), ("the folder above, escaped", "@B@/d/%2e%2e/e/a"), ("the folder above, at the end", "@B@/d/.."),
        ("a URN", "urn:x:a"), ("our own address", "@O@/dataset/breast-screening"), ("another source's namespace", "@S@/victim/d/a"),
        ("a user before the host", "http://@H@@other.example/d/a"), ("the scheme in capitals", "HTTP://@H@/x/d/a"), ("https instead", "https://@H@/x/d/a"),
        ("a host that begins alike", "http://127.0.0.1.other.example/d/a"), ("homoglyphs", "http://оther.example/d/a"),
    ]:
        yield body("foreign claim", name, turtle(dataset(iri=iri)), {"foreign-namespace"})
    yield body("foreign claim", "statements about others", GOOD + "<@S@/victim/d/a> dct:title \"stolen\" . <@B@/d/a> dct:relation <@S@/victim/d/a> .", (), 1)
    yield body("foreign claim", "a dataset of datasets", turtle(dataset("a", "dct:hasPart <@B@/d/b> ;"), dataset("b", "dct:hasPart <@B@/d/a> ;")), (), 2)
    yield body("foreign claim", "a relative IRI that climbs", turtle(dataset(iri="../../../../etc/passwd")), {"foreign-namespace"})
    yield body("foreign claim", "a base elsewhere", "@base <http://other.example/> .\n" + turtle(dataset(iri="d/a")), {"foreign-namespace"})
    yield body("foreign claim", "a relative IRI of its own", turtle(dataset(iri="d/a")), (), 1)


def gates():
    for name, title in [("right-to-left override", '"\\u202Egnp.x"'), ("left-to-right override", '"\\u202Dx"'), ("isolates", '"\\u2066x"'),
                        ("a bell", '"\\u0007x"'), ("an escape character", '"\\u0008x"'), ("an IRI", "<@B@/d/t>"), ("a blank node", "[ ]")]:
        yield body("title", name, turtle(dataset(title=title)), {"gate"})
    yield body("title", "none", turtle(dataset().replace('dct:title "A synthetic dataset"@en ;', "")), {"gate"})
    yield body("title", "no description", turtle(dataset().replace('dct:description "d"@en ;', "")), {"gate"})
    for name, title in [("a script", '"<script>alert(1)</script>"'), ("quotes", '"\\"><img src=x onerror=alert(1)>"'), ("homoglyphs", '"Вrеаst"'),
                        ("500 languages", ", ".join(f'"t"@x-{n}' for n in range(500)))]:
        yield body("title", name, turtle(dataset(title=title)), (), 1)
    for address in ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "blob:http://x/1", "about:blank",
                    "ws://x/", "urn:x:y", "mailto:a@b"]:
        yield body("access URL", address, GOOD.replace("<https://example.org/>", f"<{address}>"), {"gate"})
    yield body("access URL", "a script as landing page", turtle(dataset(more="dcat:landingPage <javascript:alert(1)> ;")), {"gate"})
    yield body("access URL", "a script as download", GOOD + "<@B@/d/a/1> dcat:downloadURL <javascript:alert(1)> .", {"gate"})
    yield body("access URL", "text", GOOD.replace("<https://example.org/>", '"https://example.org/"'), {"gate"})


def walks():
    page = lambda n, more="": ("body", turtle(dataset(f"n{n}"), f"<@B@/c> hydra:next <@B@/catalog.ttl?page={n + 1}> . {more}"), "text/turtle")
    yield Case("paging", "a page that is its own next", ("body", GOOD + "<@B@/c> hydra:next <@B@/catalog.ttl> .", "text/turtle"), (), 1, kind="hydra")
    yield Case("paging", "two pages in a circle", ("body", GOOD + "<@B@/c> hydra:next <@B@/2> .", "text/turtle"), (), 1, kind="hydra",
               more={"/2": ("body", turtle("<@B@/c> hydra:next <@B@/catalog.ttl> ."), "text/turtle")})
    endless = lambda path: page(int("0" + path.rpartition("=")[2]))
    yield Case("paging", "pages without end", page(0), {"endless"}, range(1, 41), kind="hydra", more={"*": endless}, pages=40)
    yield Case("paging", "CKAN's pages without end", ("body", turtle(dataset("n1")), "text/turtle"), {"endless"}, range(1, 41), kind="ckan", pages=40,
               more={"*": lambda path: ("body", turtle(dataset("n" + path.rpartition("=")[2])), "text/turtle")})
    yield Case("paging", "CKAN that says the same on each page", ("body", GOOD, "text/turtle"), (), 1, kind="ckan", more={"*": lambda _: ("body", GOOD, "text/turtle")})
    yield Case("paging", "fragments of one page", ("body", GOOD + "".join(f"<@B@/c> hydra:next <@B@/catalog.ttl#{n}> .\n" for n in range(500)), "text/turtle"), (), 1, kind="hydra")
    yield Case("paging", "50,000 next pages", ("body", GOOD + "<@B@/c> hydra:next " + ", ".join(f"<@B@/x{n}>" for n in range(50_000)) + " .", "text/turtle"),
               {"endless", "status"}, 1, kind="hydra", pages=40)
    yield Case("paging", "a next page that is a script", ("body", GOOD + "<@B@/c> hydra:next <javascript:alert(1)> .", "text/turtle"), {"elsewhere", "no-address", "scheme"}, 1, kind="hydra")
    yield Case("paging", "a next page with a long address", ("body", GOOD + f"<@B@/c> hydra:next <@B@/{'x' * 5_000}> .", "text/turtle"), {"long-iri"}, 1, kind="hydra")
    yield Case("paging", "a next page that is not followed", ("body", GOOD + "<@B@/c> hydra:next <@B@/2> .", "text/turtle"), {"more-pages"}, 1)
    yield Case("paging", "containers in a circle", ("body", turtle("<@B@/c> ldp:contains <@B@/1>, <@B@/catalog.ttl> ."), "text/turtle"), (), 1, kind="fdp",
               more={"/1": ("body", GOOD + "<@B@/c> ldp:contains <@B@/catalog.ttl> .", "text/turtle")})
    yield Case("paging", "containers without end", ("body", turtle("<@B@/c> ldp:contains <@B@/f=1> ."), "text/turtle"), {"endless"}, 0, kind="fdp", pages=40,
               more={"*": lambda path: ("body", turtle(f"<@B@/c> ldp:contains <@B@/f={int('0' + path.rpartition('=')[2]) + 1}> ."), "text/turtle")})
    yield Case("paging", "datasets that are only named, without end", ("body", turtle("<@B@/c> a dcat:Catalog ; dcat:dataset " + ", ".join(
        f"<@B@/d/{n}>" for n in range(3_000)) + " ."), "text/turtle"), {"endless", "status"}, 0, pages=40)
    yield Case("paging", "a name whose document is another's", ("body", turtle("<@B@/c> a dcat:Catalog ; dcat:dataset <@B@/d/b> ."), "text/turtle"), {"not-described"}, 1,
               more={"/d/b": ("body", GOOD, "text/turtle")})
    yield Case("paging", "a second page that fails", ("body", GOOD + "<@B@/c> hydra:next <@B@/2> .", "text/turtle"), {"status"}, 1, kind="hydra",
               more={"/2": answer("", status="500 X")})
    big = ("body", GOOD + "#" * 3_000_000, "text/turtle")
    yield Case("paging", "more bytes than a walk may read", ("body", GOOD + "<@B@/c> hydra:next <@B@/p=0> .", "text/turtle"), {"endless"}, 1, kind="hydra", total_mib=8,
               more={"*": lambda path: ("body", GOOD + f"<@B@/c> hydra:next <@B@/p={int('0' + path.rpartition('=')[2]) + 1}> .\n#" + "#" * 3_000_000, "text/turtle")})
    del big


def names():
    """Names that are not the source's. The victim is a source of its own, walked after the thief."""
    yield Case("thief", "another's IRI as identifier", ("body", turtle(dataset(more='dct:identifier "@S@/victim/d/a" ;')), "text/turtle"), {"duplicate", ""}, range(0, 2))
    yield Case("thief", "another's IRI as other identifier", ("body", turtle(dataset(
        more='adms:identifier [ skos:notation "@S@/victim/d/a" ] ;')), "text/turtle"), {"duplicate", ""}, range(0, 2))
    yield Case("thief", "our dataset as identifier", ("body", turtle(dataset(more='dct:identifier "@O@/dataset/breast-screening" ;')), "text/turtle"), {"duplicate", ""}, range(0, 2))
    yield body("names", "1,000 identifiers", turtle(dataset(), "".join(f'<@B@/d/a> dct:identifier "urn:x:{n}" .\n' for n in range(1_000))), (), 1)
    yield body("names", "an identifier of 500 kB", turtle(dataset(more=f'dct:identifier "urn:x:{"y" * 500_000}" ;')), (), 1)
    yield body("names", "a NUL in an identifier", turtle(dataset(more='dct:identifier "urn:x:\\u0000", "\\u0000" ;')), (), 1)
    yield body("names", "an identifier that is an IRI", turtle(dataset(more="dct:identifier <@B@/d/x> ;")), (), 1)
    yield body("names", "an identifier that is a node", turtle(dataset(more="dct:identifier [ ] ;")), {"gate"})
    yield body("names", "the same local number as others", turtle(dataset(more='dct:identifier "17" ;')), (), 1)
    yield body("names", "the same local number again", turtle(dataset(more='dct:identifier "17" ;')), (), 1)
    yield body("names", "the same dataset twice on a page", GOOD + GOOD.replace(PREFIXES, ""), (), 1)


TABLES = [private, schemes, slow, sizes, broken, forms, depth, bombs, blanks, claims, gates, walks, names]

# What a source that was well says next: its last good version must stand, and the report say why.
SPOILS = [
    ("500", ("raw", answer("", status="500 X")), "status"), ("404", ("raw", answer("", status="404 X")), "status"),
    ("half the body", ("raw", answer(GOOD[:200], length=9_999)), "cut-off"), ("HTML", ("body", GOOD, "text/html"), "media-type"),
    ("a mistake", ("body", GOOD + "<x", "text/turtle"), "syntax"), ("no title", ("body", GOOD.replace("dct:title", "dct:x"), "text/turtle"), "gate"),
    ("a script as address", ("body", GOOD.replace("https://example.org/", "javascript:alert(1)"), "text/turtle"), "gate"),
    ("too deep", ("body", GOOD + "<x:a> <x:b> " + "[ <x:b> " * 99 + "]" * 99 + " .", "text/turtle"), "too-deep"),
    ("too many blank nodes", ("body", GOOD + "<@B@/d/a> dct:x " + ",".join(f"[ dct:y {n} ]" for n in range(6_000)) + " .", "text/turtle"), "blank-nodes"),
    ("too large", ("body", GOOD + "#" * (5 << 20), "text/turtle"), "too-large"), ("UTF-16", ("body", GOOD.encode("utf-16"), "text/turtle"), "not-text"),
    ("a redirect inside", ("raw", redirect("http://localhost:@P@/")), "private-address"), ("gzip that is none", ("raw", answer(b"this is no gzip", head="Content-Encoding: gzip\r\n")), "coding"),
    ("a packed mistake", ("packed", GOOD + "<x", "gzip"), "syntax"), ("an empty page", ("body", "# nothing", "text/turtle"), "empty"),
    ("silence", ("raw", silence(6)), "too-slow"), ("a reset", ("raw", reset()), "no-answer"),
]


def all_cases():
    return [case for table in TABLES for case in table()]
