#!/usr/bin/env python3
"""What the harvester of most national catalogues makes of our documents: ckanext-dcat's RDF parser,
run alone.

    pip install "setuptools<81" wheel
    pip install "ckan[requirements]==2.11.6" ckanext-dcat==2.4.4 ckanext-scheming==3.1.0
    harvest_ckan.py FILE_OR_URL ...

One dataset per document; a listing (a file or address whose name begins with `catalog`) is walked
by its next links, and ends. Prints the fields that stay empty. Exit status 0: one dataset per
document, distributions with addresses, no endless walk.
"""
import importlib.resources
import logging
import sys
import urllib.request

import yaml
from ckan.common import config

config.update({"ckan.site_url": "http://localhost:5000", "ckanext.dcat.base_uri": "http://localhost:5000",
               "ckan.plugins": "", "licenses_group_url": None, "ckan.locale_default": "en"})
import ckanext.dcat.profiles.base as base  # noqa: E402  the configuration comes first
from ckanext.dcat.processors import RDFParser  # noqa: E402

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


def fields(dataset):
    found = {key: value for key, value in dataset.items() if value not in (None, "", [], {})}
    for extra in dataset.get("extras", []):
        if extra["value"] not in ("", "[]", None):
            found.setdefault(extra["key"], extra["value"])
    return found


def parse(place):
    if place.startswith("http"):
        with urllib.request.urlopen(place, timeout=60) as answer:
            text = answer.read().decode()
    else:
        with open(place, encoding="utf-8") as file:
            text = file.read()
    parser = RDFParser(profiles=["euro_health_dcat_ap", "euro_dcat_ap_scheming"])
    parser.parse(text, _format="turtle")
    return list(parser.datasets()), parser.next_page()


def main():
    bad = 0
    for place in sys.argv[1:]:
        if place.rsplit("/", 1)[-1].startswith("catalog"):
            seen, page, walked = set(), place, 0
            while page and walked < 1000:
                datasets, page = parse(page)
                walked += 1
                seen.update(dataset["uri"] for dataset in datasets)
                if not place.startswith("http"):
                    break
            print(f"{place}: {walked} pages, {len(seen)} datasets, next: {page}")
            bad += bool(page) or not seen
            continue
        datasets, _ = parse(place)
        if len(datasets) != 1:
            print(f"FAIL {place}: {len(datasets)} datasets")
            bad += 1
            continue
        found = fields(datasets[0])
        missing = [name for name in WANTED if name not in found]
        resources = datasets[0].get("resources", [])
        addresses = [resource for resource in resources if resource.get("access_url") or resource.get("url")]
        bad += bool(missing) or not addresses or len(addresses) != len(resources)
        print(f"{place}: {len(resources)} resources, {len(found)} fields; missing: {missing}; "
              f"not given: {[name for name in HOPED if name not in found]}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
