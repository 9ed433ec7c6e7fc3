#!/usr/bin/env python3
"""Knocks at every door of a running catalogue as its clients do.

    pip install rdflib==7.6.0 pyoxigraph==0.5.13 sickle==0.7.0 mlcroissant==1.1.1
    doors.py [--changed] BASE_URL

--changed: at least one dataset was updated and one withdrawn since the beginning, and must show.

`forms`      rdflib and pyoxigraph read every form of every document: one graph
`walk`       the listing page by page, as ckanext-dcat walks it; ends, each dataset once
`contains`   a FAIR Data Point crawl as ckanext-fairdatapoint does it: breadth first over ldp:contains
`catalogue`  the same by fdp-o:metadataCatalog and dcat:dataset, as MOLGENIS does it
`changes`    the feed from the beginning: its newest payloads are what is served, digests hold
`ldes`       the event stream by its relations: every change is a member once
`oai`        sickle over every verb; the records are the datasets
`croissant`  mlcroissant reads each description without an error and loads its table of counts
`site`       every address of the sitemap answers, HEAD has the headers of GET, conditions hold

Exit status 0: all of them agree on the same datasets. What is not installed is said to be skipped.
"""
import collections
import hashlib
import json
import logging
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

from rdflib import Dataset, Graph, Namespace, RDF, URIRef
from rdflib.compare import isomorphic
import rdflib

# A literal is what was written: `007` is not `7`.
rdflib.NORMALIZE_LITERALS = False
logging.disable(logging.WARNING)
DCAT = Namespace("http://www.w3.org/ns/dcat#")
LDP = Namespace("http://www.w3.org/ns/ldp#")
FDP = Namespace("https://w3id.org/fdp/fdp-o#")
TREE = Namespace("https://w3id.org/tree#")
HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
FORMS = {"ttl": ("turtle", "text/turtle"), "jsonld": ("json-ld", "application/ld+json"),
         "rdf": ("xml", "application/rdf+xml"), "nt": ("nt", "application/n-triples"),
         "nq": ("nquads", "application/n-quads")}
LARGEST_WALK = 2000


class Refused(Exception):
    pass


def get(url, accept=None, method="GET", headers=()):
    request = urllib.request.Request(url, method=method, headers=dict(headers))
    if accept:
        request.add_header("Accept", accept)
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def expect(holds, words):
    if not holds:
        raise Refused(words)


def turtle(url):
    status, headers, body = get(url, "text/turtle")
    expect(status == 200, f"{url}: {status}")
    expect(headers.get_content_type() == "text/turtle", f"{url}: {headers.get_content_type()}")
    return Graph().parse(data=body, format="turtle", publicID=url)


def walk(base):
    """The next links of ckanext-dcat: IRI or literal of hydra:next in a paged collection."""
    url, pages, seen = f"{base}/catalog.ttl", 0, collections.Counter()
    while url and pages < LARGEST_WALK:
        graph = turtle(url)
        pages += 1
        seen.update(str(node) for node in graph.subjects(RDF.type, DCAT.Dataset))
        view = next(graph.subjects(RDF.type, HYDRA.PagedCollection))
        url = graph.value(view, HYDRA.next)
        url = str(url) if url else None
    expect(not url, f"the walk does not end after {pages} pages")
    expect(all(count == 1 for count in seen.values()), f"met twice: {seen.most_common(3)}")
    return set(seen), f"{pages} pages"


def contains(base):
    todo, seen, datasets = [f"{base}/fdp"], set(), set()
    while todo:
        url = todo.pop(0)
        if url in seen:
            continue
        seen.add(url)
        graph = turtle(url)
        expect(next(graph.predicate_objects(URIRef(url)), None), f"{url} says nothing of itself")
        if (URIRef(url), RDF.type, DCAT.Dataset) in graph:
            datasets.add(url)
            for part in graph.objects(URIRef(url), DCAT.distribution):
                there = turtle(str(part))
                expect((part, RDF.type, DCAT.Distribution) in there, f"{part} is no Distribution")
        todo.extend(str(member) for member in graph.objects(None, LDP.contains))
    return datasets, f"{len(seen)} addresses"


def catalogue(base):
    root, datasets = turtle(f"{base}/fdp"), set()
    for member in root.objects(URIRef(f"{base}/fdp"), FDP.metadataCatalog):
        for dataset in turtle(str(member)).objects(member, DCAT.dataset):
            graph = turtle(str(dataset))
            expect((dataset, RDF.type, DCAT.Dataset) in graph, f"{dataset} is no Dataset")
            datasets.add(str(dataset))
    return datasets, "by properties"


def one_graph(data, form, url):
    """The graph of a document; N-Quads that name it would hide it from clients."""
    if form == "nq":
        whole = Dataset()
        whole.parse(data=data, format="nquads")
        graph = Graph()
        for subject, predicate, value, name in whole.quads():
            expect(name is None or str(name) == "urn:x-rdflib:default", f"{url}: the graph {name}")
            graph.add((subject, predicate, value))
        return graph
    return Graph().parse(data=data, format=FORMS[form][0], publicID=url)


def forms(base, datasets):
    try:
        import pyoxigraph
    except ImportError:
        pyoxigraph = None
        print("skipped: pyoxigraph is not installed, rdflib alone reads the forms")
    documents = [f"{base}/catalog", f"{base}/fdp", f"{base}/ldes", f"{base}/changes"]
    for iri in sorted(datasets):
        documents += [iri, iri.replace("/dataset/", "/record/"), f"{iri}/distribution/1"]
    count = 0
    for url in documents:
        graphs, canonical = {}, {}
        for form, (_, media_type) in FORMS.items():
            status, headers, body = get(f"{url}.{form}" if url != f"{base}/changes" else f"{url}.{form}?since=0")
            expect(status == 200, f"{url}.{form}: {status}")
            expect(headers.get_content_type() == media_type, f"{url}.{form}: {headers.get_content_type()}")
            if "changes" not in url and "catalog" not in url:
                _, by_accept, same = get(url, media_type)
                expect(by_accept.get_content_type() == media_type and same == body, f"{url} as {media_type}")
            graphs[form] = one_graph(body, form, url)
            if pyoxigraph:
                kind = pyoxigraph.RdfFormat.from_media_type(media_type)
                # Addresses of pages keep the suffix, so their graphs are compared below only.
                quads = pyoxigraph.Dataset(
                    pyoxigraph.Quad(q.subject, q.predicate, q.object)
                    for q in pyoxigraph.parse(body, kind, base_iri=url))
                quads.canonicalize(pyoxigraph.CanonicalizationAlgorithm.UNSTABLE)
                canonical[form] = frozenset(str(quad) for quad in quads)
            count += 1
        if url.endswith(("/catalog", "/changes")):
            # Their own links keep the suffix; all else is equal.
            graphs = {form: plain(graph, base) for form, graph in graphs.items()}
            canonical = {}
        for form, graph in graphs.items():
            expect(isomorphic(graph, graphs["ttl"]), f"{url}.{form} is another graph than .ttl")
        expect(len(set(canonical.values())) <= 1, f"{url}: pyoxigraph reads different graphs")
    return None, f"{len(documents)} documents, {count} forms"


def plain(graph, base):
    pattern = re.compile(re.escape(base) + r"/(catalog|changes)\.[a-z]+\?")
    out = Graph()
    for triple in graph:
        out.add(tuple(URIRef(pattern.sub(base + r"/\1?", str(term))) if isinstance(term, URIRef) else term
                      for term in triple))
    return out


def changes(base, changed):
    url, events = f"{base}/changes?since=0&limit=7", []
    while url:
        page = json.loads(get(url, "application/json")[2])
        events += page["orderedItems"]
        url = page.get("next")
    expect([event["sequence"] for event in events] == list(range(1, len(events) + 1)), "numbers have gaps")
    expect(len({event["messageId"] for event in events}) == len(events), "a message id comes twice")
    newest = {event["identifier"]: event for event in events}
    datasets = set()
    for event in events:
        if "replacedBy" in event:
            expect(get(event["id"] + "/document", "text/turtle")[0] == 410, f"{event['id']} is still handed out")
            continue
        expect(newest[event["identifier"]] is event, f"{event['id']} is not the newest")
        status, _, body = get(event["document"], "application/n-triples")
        expect(status == 200, f"{event['document']}: {status}")
        expect(hashlib.sha256(body).hexdigest() == event["sha256"], f"{event['id']}: the digest does not hold")
        is_deleted = event["operation"] == "delete"
        expect(get(event["identifier"])[0] == (410 if is_deleted else 200), event["identifier"])
        if not is_deleted:
            datasets.add(event["identifier"])
    operations = collections.Counter(event["operation"] for event in events)
    if changed:
        expect(operations["update"] and operations["delete"], f"nothing changed: {dict(operations)}")
        gone = [event["identifier"] for event in events if event["operation"] == "delete"]
        status, _, body = get(gone[0], "text/turtle")
        expect(status == 410 and b"WITHDRAWN" in body, f"{gone[0]}: no tombstone")
        Graph().parse(data=body, format="turtle")
    return datasets, ", ".join(f"{count} {name}" for name, count in sorted(operations.items()))


def ldes(base):
    view, members = turtle(f"{base}/ldes"), collections.Counter()
    fragments = {str(node) for node in view.objects(None, TREE.node)}
    for url in fragments:
        members.update(str(member) for member in turtle(url).objects(None, TREE.member))
    expect(members and set(members.values()) == {1}, "a member comes twice, or none")
    total = json.loads(get(f"{base}/changes", "application/json")[2])["totalItems"]
    expect(len(members) == total, f"{len(members)} members of {total} changes")
    return None, f"{len(fragments)} fragments, {len(members)} members"


def oai(base):
    try:
        import sickle
        from sickle.oaiexceptions import IdDoesNotExist
    except ImportError:
        return "skipped", "pip install sickle==0.7.0"
    client = sickle.Sickle(f"{base}/oai", timeout=60)
    identity = client.Identify()
    expect(identity.deletedRecord == "persistent", identity.deletedRecord)
    prefixes = {form.metadataPrefix for form in client.ListMetadataFormats()}
    expect(prefixes == {"oai_dc", "dcat"}, str(prefixes))
    sets = {one.setSpec for one in client.ListSets()}
    live = set()
    for record in client.ListRecords(metadataPrefix="oai_dc"):
        expect(set(record.header.setSpecs) <= sets, str(record.header.setSpecs))
        if not record.header.deleted:
            live.add(record.header.identifier)
            expect(record.metadata["type"] == ["Dataset"], record.header.identifier)
            expect(record.header.identifier in record.metadata["identifier"], record.header.identifier)
    headers = {h.identifier for h in client.ListIdentifiers(metadataPrefix="dcat", ignore_deleted=True)}
    expect(headers == live, "identifiers are not the records'")
    for identifier in sorted(live)[:5]:
        record = client.GetRecord(identifier=identifier, metadataPrefix="dcat")
        text = re.search(r"<rdf:RDF.*</rdf:RDF>", record.raw, re.S).group(0)
        graph = Graph().parse(data=text, format="xml")
        expect(isomorphic(graph, turtle(identifier)), f"{identifier}: another graph in OAI-PMH")
    by_set = set()
    for one in sets:
        try:
            by_set |= {h.identifier for h in client.ListIdentifiers(metadataPrefix="dcat", set=one, ignore_deleted=True)}
        except sickle.oaiexceptions.NoRecordsMatch:
            pass
    expect(by_set == live, "the sets together are not all")
    try:
        client.GetRecord(identifier="oai:example.org:x", metadataPrefix="oai_dc")
        raise Refused("an unknown identifier is answered")
    except IdDoesNotExist:
        pass
    return live, f"{len(sets)} sets, {len(prefixes)} formats"


def croissant(base, datasets):
    try:
        import mlcroissant
    except ImportError:
        return "skipped", "pip install mlcroissant==1.1.1"
    rows = 0
    for iri in sorted(datasets):
        url = f"{iri}.croissant.json"
        text = json.loads(get(url)[2])
        dataset = mlcroissant.Dataset(jsonld=text)
        issues = dataset.metadata.ctx.issues
        expect(not issues.errors, f"{url}: {issues.report()}")
        expect(dataset.metadata.ctx.is_v1_1(), f"{url} is not of version 1.1")
        loaded = list(dataset.records(record_set="counts"))
        expect(loaded and any(row["counts/facet"] == b"total" for row in loaded), f"{url}: no counts")
        rows += len(loaded)
        schema = json.loads(get(f"{iri}.schema.jsonld")[2])
        expect(schema["@type"] == "Dataset" and len(schema["description"]) >= 50, f"{iri}: schema.org")
        cited = json.loads(get(iri, "application/vnd.datacite.datacite+json")[2])
        expect(cited["types"]["resourceTypeGeneral"] == "Dataset" and cited["version"], f"{iri}: DataCite")
    return None, f"{len(datasets)} descriptions, {rows} rows"


def site(base, datasets):
    expect(f"Sitemap: {base}/sitemap.xml" in get(f"{base}/robots.txt")[2].decode(), "robots.txt")
    addresses = re.findall("<loc>(.*?)</loc>", get(f"{base}/sitemap.xml")[2].decode())
    for url in addresses:
        # As ckanext-dcat does first: HEAD without an Accept of its own.
        status, head, body = get(url, "*/*", "HEAD")
        expect(status == 200 and not body, f"HEAD {url}: {status}")
        if "/dataset/" not in url:
            continue
        _, headers, body = get(url, "*/*")
        expect(int(head["Content-Length"]) == len(body), f"{url}: Content-Length")
        expect(head["ETag"] == headers["ETag"] and not head["ETag"].startswith("W/"), f"{url}: ETag")
        expect(get(url, "*/*", headers={"If-None-Match": head["ETag"]})[0] == 304, f"{url}: ETag")
        since = {"If-Modified-Since": head["Last-Modified"]}
        expect(get(url, "*/*", headers=since)[0] == 304, f"{url}: Last-Modified")
        expect(get(url, "image/png")[0] == 406, f"{url} as a picture")
        relations = set(re.findall('rel="([a-z-]+)"', " ".join(get(url, "text/html")[1].get_all("Link"))))
        missing = {"cite-as", "describedby", "item", "type", "profile"} - relations
        expect(not missing, f"{url}: no signpost {missing}")
    return {url for url in addresses if "/dataset/" in url}, f"{len(addresses)} addresses"


def main():
    changed, base = "--changed" in sys.argv[1:-1], sys.argv[-1].rstrip("/")
    datasets, _ = walk(base)
    expect(datasets, "the catalogue is empty")
    bad = 0
    for name, work in [("walk", lambda: walk(base)), ("contains", lambda: contains(base)),
                       ("catalogue", lambda: catalogue(base)), ("changes", lambda: changes(base, changed)),
                       ("ldes", lambda: ldes(base)), ("oai", lambda: oai(base)),
                       ("croissant", lambda: croissant(base, datasets)),
                       ("site", lambda: site(base, datasets)), ("forms", lambda: forms(base, datasets))]:
        try:
            found, words = work()
            if found == "skipped":
                print(f"skipped: {name}: {words}")
                continue
            expect(found is None or found == datasets,
                   f"{len(found or ())} datasets where the listing has {len(datasets)}")
            print(f"{name}: holds, {words}")
        except Refused as refused:
            bad += 1
            print(f"FAIL {name}: {refused}")
    print(f"{len(datasets)} datasets, {bad} doors fail")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
