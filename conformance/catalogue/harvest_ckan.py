#!/usr/bin/env python3
"""What the harvester of most national catalogues makes of our documents: ckanext-dcat's RDF parser,
run alone.

    pip install "setuptools<81" wheel
    pip install "ckan[requirements]==2.11.6" ckanext-dcat==2.4.4 ckanext-scheming==3.1.0
    harvest_ckan.py FILE_OR_URL ...

One dataset per document; a listing (a file or address whose name begins with `catalog`) is walked
by its next links, and ends. Prints the fields that stay empty, and the properties that are lost when
CKAN writes the dataset again. Exit status 0: one dataset per document, distributions with addresses,
no endless walk, and of the properties of a dataset nothing lost but what CKAN has no field for. With
VESALIUS_REFERENCE the official example is the measure: it keeps 47 of its 53 properties, and what it
keeps of what we say, ours keep.
"""
import importlib.resources
import logging
import os
import sys
import urllib.request

import yaml
from ckan.common import config

config.update({"ckan.site_url": "http://localhost:5000", "ckanext.dcat.base_uri": "http://localhost:5000",
               "ckan.plugins": "", "licenses_group_url": None, "ckan.locale_default": "en"})
import ckanext.dcat.profiles.base as base  # noqa: E402  the configuration comes first
from ckanext.dcat.processors import RDFParser, RDFSerializer  # noqa: E402
from rdflib import RDF, Graph, Namespace  # noqa: E402

logging.disable(logging.CRITICAL)
SCHEMA = yaml.safe_load(importlib.resources.files("ckanext.dcat").joinpath(
    "schemas/health_dcat_ap.yaml").read_text())
base.resource_formats = lambda: {}
base.get_action = lambda name: lambda context, data: SCHEMA
base.RDFProfile._license_register = lambda self, *given, **named: []
WANTED = ["title", "notes", "uri", "identifier", "access_rights", "applicable_legislation", "hdab",
          "health_category", "contact", "publisher", "tags", "theme"]
HOPED = ["health_theme", "coding_system", "code_values", "min_typical_age", "max_typical_age", "number_of_records",
         "number_of_unique_individuals", "population_coverage", "retention_period", "quality_annotation",
         "temporal_coverage", "spatial_coverage", "provenance", "provenance_activity", "analytics",
         "personal_data", "legal_basis", "purpose", "language", "frequency", "version", "conforms_to",
         "qualified_relation", "alternate_identifier", "documentation"]
PROFILES = ["euro_health_dcat_ap", "euro_dcat_ap_scheming"]
DCAT = Namespace("http://www.w3.org/ns/dcat#")
# What the schemas of ckanext-dcat 2.4.4 have no field for. The first line is what the official
# example of Release 8 loses; the second, properties that it does not have; EUCAIM's are unknown too.
NO_FIELD = {"alternative", "custodian", "hasStructuredData", "hasVariables", "hdabCoordinator", "healthTheme",
            "isPartOf", "prev", "qualifiedAttribution", "wasDerivedFrom"}
EXAMPLE = "healthdcat/r8/examples/example-healthdcat-dataset.ttl"


def local(predicate):
    return str(predicate).replace("#", "/").rsplit("/", 1)[-1]


def round_trip(text, dataset):
    """The properties of the dataset in a document: those that CKAN writes again, and those lost."""
    graph, serializer = Graph().parse(data=text, format="turtle"), RDFSerializer(profiles=PROFILES)
    written = serializer.graph_from_dataset(dataset)
    (node,) = set(graph.subjects(RDF.type, DCAT.Dataset))
    before, after = set(graph.predicates(node)), set(serializer.g.predicates(written))
    return before & after, before - after


def fields(dataset):
    found = {key: value for key, value in dataset.items() if value not in (None, "", [], {})}
    for extra in dataset.get("extras", []):
        if extra["value"] not in ("", "[]", None):
            found.setdefault(extra["key"], extra["value"])
    return found


def read(place):
    if place.startswith("http"):
        with urllib.request.urlopen(place, timeout=60) as answer:
            return answer.read().decode()
    with open(place, encoding="utf-8") as file:
        return file.read()


def parse(text):
    parser = RDFParser(profiles=PROFILES)
    parser.parse(text, _format="turtle")
    return list(parser.datasets()), parser.next_page()


def main():
    bad, kept_of_example = 0, set()
    if "VESALIUS_REFERENCE" in os.environ:
        text = read(os.path.join(os.environ["VESALIUS_REFERENCE"], EXAMPLE))
        kept_of_example, lost = round_trip(text, parse(text)[0][0])
        print(f"the official example keeps {len(kept_of_example)} of {len(kept_of_example | lost)} properties")
    else:
        print("skipped: VESALIUS_REFERENCE, the official example as the measure")
    for place in sys.argv[1:]:
        if place.rsplit("/", 1)[-1].startswith("catalog"):
            seen, page, walked = set(), place, 0
            while page and walked < 1000:
                datasets, page = parse(read(page))
                walked += 1
                seen.update(dataset["uri"] for dataset in datasets)
                if not place.startswith("http"):
                    break
            print(f"{place}: {walked} pages, {len(seen)} datasets, next: {page}")
            bad += bool(page) or not seen
            continue
        text = read(place)
        datasets, _ = parse(text)
        if len(datasets) != 1:
            print(f"FAIL {place}: {len(datasets)} datasets")
            bad += 1
            continue
        found = fields(datasets[0])
        missing = [name for name in WANTED if name not in found]
        resources = datasets[0].get("resources", [])
        addresses = [resource for resource in resources if resource.get("access_url") or resource.get("url")]
        bad += bool(missing) or not addresses or len(addresses) != len(resources)
        kept, lost = round_trip(text, datasets[0])
        wrong = {name for name in lost if local(name) not in NO_FIELD and "EUCAIM" not in name} | lost & kept_of_example
        # A document that says everything keeps everything that the example keeps.
        is_whole = kept_of_example and place.endswith("/everything.ttl")
        bad += bool(wrong) or bool(is_whole and not kept_of_example <= kept)
        print(f"{'FAIL ' if missing or wrong else ''}{place}: {len(resources)} resources, {len(found)} fields; "
              f"missing: {missing}; not given: {[name for name in HOPED if name not in found]}; written again "
              f"{len(kept)} of {len(kept | lost)} properties, {len(kept & kept_of_example)} of those that the "
              f"example keeps; lost: {sorted(local(name) for name in lost)}; wrongly: {sorted(wrong)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
