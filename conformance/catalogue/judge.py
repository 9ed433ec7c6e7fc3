#!/usr/bin/env python3
"""The judge of the catalogue: pySHACL with the official shapes of HealthDCAT-AP Release 8 and
DCAT-AP 3.0.1.

    pip install rdflib==7.6.0 pyshacl==0.40.1
    judge.py --reference DIR [--listing FILE_OR_URL ...] [--catalogue FILE_OR_URL ...] [--faults]
             DOCUMENT_OR_URL ...

DIR (or $VESALIUS_REFERENCE) holds `healthdcat/` with the official files; nothing of it is part of
this repository. A document is a file or an address; its level is read from dct:accessRights.
Each document must have no violation, also when `dcat:Catalog rdfs:subClassOf dcat:Dataset` is
loaded (the official validator preloads DCAT's ontology). Listings are judged by DCAT-AP alone,
without that axiom; a --catalogue (`/fdp/catalog/all`), which names its datasets and does not hold
them, by what Release 8 says of the Catalog itself. With --faults, faults are planted into the first document of each level and
every one must be found. Exit status 0: all as it should be.
"""
import argparse
import os
import sys
import urllib.request
from collections import Counter

import pyshacl
from rdflib import Graph, Literal, Namespace, RDF, RDFS, URIRef, XSD

SH = Namespace("http://www.w3.org/ns/shacl#")
DCAT = Namespace("http://www.w3.org/ns/dcat#")
DCT = Namespace("http://purl.org/dc/terms/")
DCATAP = Namespace("http://data.europa.eu/r5r/")
HD = Namespace("http://healthdataportal.eu/ns/health#")
CV = Namespace("http://data.europa.eu/m8g/")
CSVW = Namespace("http://www.w3.org/ns/csvw#")
DPV = Namespace("https://w3id.org/dpv#")
FOAF = Namespace("http://xmlns.com/foaf/0.1/")
GEO = Namespace("http://data.europa.eu/930/")
VCARD = Namespace("http://www.w3.org/2006/vcard/ns#")
PROV = Namespace("http://www.w3.org/ns/prov#")
ADMS = Namespace("http://www.w3.org/ns/adms#")
RIGHTS = "http://publications.europa.eu/resource/authority/access-right/"
LEVELS = {"PUBLIC": "public", "RESTRICTED": "restricted", "NON_PUBLIC": "non-public"}
DCAT_AP = ["dcat-ap-3.0.1/shapes.ttl", "dcat-ap-3.0.1/range.ttl", "dcat-ap-3.0.1/shapes_recommended.ttl",
           "dcat-ap-3.0.1/mdr-vocabularies.shape.ttl", "dcat-ap-3.0.1/deprecateduris.ttl"]


def shapes(folder, names):
    graph = Graph()
    for name in names:
        graph.parse(os.path.join(folder, name), format="turtle")
    # Two shapes refer to property shapes without a path, which pySHACL refuses.
    for subject, inner in list(graph.subject_objects(SH.property)):
        if graph.value(inner, SH.path) is None:
            graph.remove((subject, SH.property, inner))
    return graph


def official(folder, level):
    r8 = "r8/validator/"
    return shapes(folder, [
        r8 + "shapes/graph-guard.ttl", "dcat-ap-3.0.1/deprecateduris.ttl", r8 + "ranges/range.ttl",
        r8 + f"shapes/{level}-shapes.ttl", r8 + "controlled-vocabularies/mdr-vocabularies.shape.ttl",
        r8 + f"recommended/{level}-shapes_recommended.ttl", "dcat-ap-3.0.1/shapes.ttl",
        "dcat-ap-3.0.1/range.ttl", "dcat-ap-3.0.1/shapes_recommended.ttl"])


def validate(data, background, shape_graph, axiom=False):
    whole = Graph()
    for part in (data, background):
        for triple in part:
            whole.add(triple)
    if axiom:
        whole.add((DCAT.Catalog, RDFS.subClassOf, DCAT.Dataset))
    _, report, _ = pyshacl.validate(whole, shacl_graph=shape_graph, inference="none", advanced=True,
                                    allow_warnings=True)
    results = []
    # Only results of the report itself: those in sh:detail belong to their parent.
    for result in report.objects(None, SH.result):
        results.append((report.value(result, SH.resultSeverity), report.value(result, SH.focusNode),
                        report.value(result, SH.resultPath), report.value(result, SH.resultMessage),
                        report.value(result, SH.value)))
    return results


def violations(results):
    return [result for result in results if result[0] == SH.Violation]


def read(place):
    graph = Graph()
    if place.startswith(("http://", "https://")):
        request = urllib.request.Request(place, headers={"Accept": "text/turtle"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return graph.parse(data=answer.read(), format="turtle")
    kind = {"jsonld": "json-ld", "rdf": "xml", "nt": "nt"}.get(place.rsplit(".", 1)[-1], "turtle")
    return graph.parse(place, format=kind)


def level(data):
    dataset = data.value(None, RDF.type, DCAT.Dataset)
    rights = data.value(dataset, DCT.accessRights)
    return str(rights)[len(RIGHTS):] if rights else None


def show(results, limit=10):
    for severity, focus, path, message, value in results[:limit]:
        print(f"    {focus} {path} {message} ({value})")


def faults(dataset):
    """Name, and what it does to the document.

    Not among them, because the official shapes do not see them: missing variables (the rule stands
    in a property shape without a path, which validators refuse) and wrong dates (tied to their
    shape by `sh:shape`, which is no SHACL). Our own gate finds both (tests/it/catalogue)."""
    def drop(predicate):
        return lambda g: g.remove((dataset, predicate, None))

    def swap(predicate, value):
        def change(g):
            g.remove((dataset, predicate, None))
            g.add((dataset, predicate, value))
        return change

    def put(predicate, value):
        return lambda g: g.add((dataset, predicate, value))

    def part(class_, change):
        def apply(g):
            change(g, sorted(g.subjects(RDF.type, class_))[0])
        return apply

    eu = "http://publications.europa.eu/resource/authority/"
    hd = "https://hdeu-dcat.data.health.europa.eu/resource/authority/"
    rows = [(f"no {predicate.split('/')[-1].split('#')[-1]}", drop(predicate)) for predicate in (
        DCT.title, DCT.description, DCT.identifier, DCT.accessRights, DCATAP.applicableLegislation,
        HD.healthCategory, HD.hdab, HD.hasStructuredData, DCAT.distribution, DCAT.theme)]
    rows += [
        ("two accessRights", put(DCT.accessRights, URIRef(RIGHTS + "SENSITIVE"))),
        ("DPV 2 personal data", put(DPV.hasPersonalData, URIRef("https://w3id.org/dpv/pd#Age"))),
        ("conformsTo an own IRI", put(DCT.conformsTo, URIRef("https://example.org/schema"))),
        ("records as xsd:integer", swap(HD.numberOfRecords, Literal(5))),
        ("two numbers of records", put(HD.numberOfRecords, Literal("99", datatype=XSD.nonNegativeInteger))),
        ("category that does not exist", swap(HD.healthCategory, URIRef(hd + "healthcategories/XXXX"))),
        ("theme without HEAL", swap(DCAT.theme, URIRef(eu + "data-theme/TECH"))),
        ("language as text", swap(DCT.language, Literal("en"))),
        ("title as IRI", swap(DCT.title, URIRef("https://example.org/title"))),
        ("custodian without contact", put(GEO.custodian, URIRef("https://example.org/nobody"))),
        ("frequency out of scheme", swap(DCT.accrualPeriodicity, URIRef("https://example.org/often"))),
        ("coding system from Wikidata", put(HD.hasCodingSystem, URIRef("https://www.wikidata.org/entity/Q81095"))),
        ("purpose not described", put(DPV.hasPurpose, URIRef("https://example.org/purpose"))),
        ("source not a dataset", put(DCT.source, URIRef("https://doi.org/10.1/x"))),
        ("csvw:titles for csvw:title", part(CSVW.Column, lambda g, n: (
            g.add((n, CSVW.titles, Literal("x"))), g.remove((n, CSVW.title, None))))),
        ("column without datatype", part(CSVW.Column, lambda g, n: g.remove((n, CSVW.datatype, None)))),
        ("table without title", part(CSVW.Table, lambda g, n: g.remove((n, DCT.title, None)))),
        ("byteSize as decimal", part(DCAT.Distribution, lambda g, n: (
            g.remove((n, DCAT.byteSize, None)), g.add((n, DCAT.byteSize, Literal("1.5", datatype=XSD.decimal)))))),
        ("distribution without accessURL", part(DCAT.Distribution, lambda g, n: g.remove((n, DCAT.accessURL, None)))),
        ("distribution without legislation", part(DCAT.Distribution, lambda g, n: g.remove((n, DCATAP.applicableLegislation, None)))),
        ("contact without address", part(VCARD.Kind, lambda g, n: (
            g.remove((n, VCARD.hasEmail, None)), g.remove((n, VCARD.hasURL, None))))),
        ("agent without name", part(FOAF.Agent, lambda g, n: g.remove((n, FOAF.name, None)))),
        ("agent with two contact points", part(FOAF.Agent, lambda g, n: (
            g.add((n, CV.contactPoint, URIRef("https://example.org/c2"))),
            g.add((URIRef("https://example.org/c2"), RDF.type, CV.ContactPoint)),
            g.add((URIRef("https://example.org/c2"), CV.email, Literal("a@example.org")))))),
        ("contact point without address", part(CV.ContactPoint, lambda g, n: (
            g.remove((n, CV.email, None)), g.remove((n, CV.contactPage, None))))),
        ("a catalogue in the document", lambda g: g.add((URIRef("https://example.org/c"), RDF.type, DCAT.Catalog))),
    ]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", default=os.environ.get("VESALIUS_REFERENCE"))
    parser.add_argument("--listing", action="append", default=[])
    parser.add_argument("--catalogue", action="append", default=[])
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("documents", nargs="*")
    given = parser.parse_args()
    if not given.reference:
        print("skipped: neither --reference nor VESALIUS_REFERENCE names the official files")
        return 0
    folder = os.path.join(given.reference, "healthdcat")
    background = Graph().parse(os.path.join(folder, "vocab-background-subset.ttl"), format="turtle")
    by_level = {code: official(folder, name) for code, name in LEVELS.items()}
    dcat_ap = shapes(folder, DCAT_AP)
    bad = 0
    seen = {}
    counts = Counter()
    for place in given.documents:
        data = read(place)
        code = level(data)
        if code not in LEVELS:
            print(f"FAIL {place}: no access right")
            bad += 1
            continue
        seen.setdefault(code, (place, data))
        for axiom in (False, True):
            results = validate(data, background, by_level[code], axiom)
            wrong = violations(results)
            counts[code, "violations"] += len(wrong)
            if wrong:
                bad += 1
                print(f"FAIL {place} ({code}{', with the axiom' if axiom else ''}): {len(wrong)} violations")
                show(wrong)
        counts[code, "documents"] += 1
        counts[code, "warnings"] += len(results) - len(wrong)
        if os.environ.get("JUDGE_WARNINGS"):
            show([result for result in results if result[0] != SH.Violation], 100)
    for code in LEVELS:
        if counts[code, "documents"]:
            print(f"{code}: {counts[code, 'documents']} documents, {counts[code, 'violations']} violations, "
                  f"{counts[code, 'warnings']} warnings")
    for place in given.listing:
        wrong = violations(validate(read(place), background, dcat_ap))
        print(f"listing {place}: {len(wrong)} violations")
        if wrong:
            bad += 1
            show(wrong)
    for place in given.catalogue:
        data = read(place)
        catalogues = set(data.subjects(RDF.type, DCAT.Catalog))
        results = validate(data, background, by_level["PUBLIC"])
        # The datasets are at their own addresses, where their class is.
        wrong = [result for result in violations(results)
                 if result[1] in catalogues and result[2] != DCAT.dataset]
        print(f"catalogue {place}: {len(wrong)} violations")
        if wrong or not catalogues:
            bad += 1
            show(wrong)
    if given.faults:
        for code, (place, data) in seen.items():
            dataset = data.value(None, RDF.type, DCAT.Dataset)
            # Some faults need the DCAT axiom to be a fault at all.
            clean = len(violations(validate(data, background, by_level[code], True)))
            found = 0
            rows = faults(dataset)
            for name, change in rows:
                broken = Graph()
                for triple in data:
                    broken.add(triple)
                change(broken)
                count = len(violations(validate(broken, background, by_level[code], True)))
                if count > clean:
                    found += 1
                else:
                    print(f"FAIL {code}: the fault `{name}` was not found")
                    bad += 1
            print(f"{code}: {found} of {len(rows)} planted faults found")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
