#!/usr/bin/env python3
"""Other people's catalogues, harvested: a vesalius by its listing and its FAIR Data Point, and CKAN as
ckanext-dcat writes its pages, once with the IRIs that it took over and once with IRIs of its own, as
the next catalogue does (HealthDCAT-AP Release 8: it overwrites dct:identifier and moves the original
into adms:identifier).

    peers.py --binary vesalius URL      with a Python that has ckan and ckanext-dcat; URL: a running demo

However they come, each dataset is there once: the original, and the others known as its copies.
"""
import argparse
import copy
import importlib.resources
import json
import logging
import os
import subprocess
import sys
import tempfile
import urllib.request

import yaml
from ckan.common import config

from site_of import Site, answer

config.update({"ckan.site_url": "http://localhost:5000", "ckanext.dcat.base_uri": "http://localhost:5000",
               "ckan.plugins": "", "licenses_group_url": None, "ckan.locale_default": "en"})
import ckanext.dcat.profiles.base as base  # noqa: E402  the configuration comes first
from ckanext.dcat.processors import RDFParser, RDFSerializer  # noqa: E402

logging.disable(logging.CRITICAL)
SCHEMA = yaml.safe_load(importlib.resources.files("ckanext.dcat").joinpath("schemas/health_dcat_ap.yaml").read_text())
base.resource_formats = lambda: {}
base.get_action = lambda name: lambda context, data: SCHEMA
base.RDFProfile._license_register = lambda self, *given, **named: []
PROFILES = ["euro_health_dcat_ap", "euro_dcat_ap_scheming"]


def datasets_of(url):
    """All datasets of a listing, as CKAN's parser reads them."""
    found, page = [], url
    while page:
        with urllib.request.urlopen(page, timeout=60) as got:
            parser = RDFParser(profiles=PROFILES)
            parser.parse(got.read().decode(), _format="turtle")
        found.extend(parser.datasets())
        page = parser.next_page()
    for dataset in found:
        for resource in dataset.get("resources", []):
            # ckanext-dcat 2.4.4 reads the contact of a service as a list and cannot write it again.
            resource.pop("access_services", None)
    return found


def pages(site, name, datasets):
    """CKAN's `catalog.ttl`, a dataset on each page, with the links that it writes."""
    address = f"{site.base}/{name}/catalog.ttl"
    config.update({"ckan.site_url": f"{site.base}/{name}", "ckanext.dcat.base_uri": f"{site.base}/{name}"})
    last = len(datasets)
    for number, dataset in enumerate(datasets, 1):
        link = lambda page: f"{address}?page={page}"
        paging = {"count": last, "items_per_page": 1, "current": link(number), "first": link(1), "last": link(last)}
        if number < last:
            paging["next"] = link(number + 1)
        text = RDFSerializer(profiles=PROFILES).serialize_catalog(
            {"title": "A catalogue (synthetic)", "description": "d"}, [copy.deepcopy(dataset)], _format="turtle",
            pagination_info=paging)
        site.paths[f"/{name}/catalog.ttl?page={number}"] = answer(text, "text/turtle; charset=utf-8")
        if number == 1:
            site.paths[f"/{name}/catalog.ttl"] = answer(text, "text/turtle; charset=utf-8")
    return address


def renamed(datasets, site, name):
    """What the next catalogue makes of them."""
    new = []
    for number, dataset in enumerate(datasets):
        dataset = copy.deepcopy(dataset)
        dataset["id"] = f"0f5e1d6c-0000-4000-8000-{number:012}"
        original = dataset["uri"]
        dataset["uri"] = dataset["identifier"] = f"{site.base}/{name}/dataset/{dataset['id']}"
        dataset["extras"] = [extra for extra in dataset.get("extras", []) if extra["key"] not in ("uri", "identifier", "guid")]
        # A list of texts; of an adms:Identifier CKAN keeps the IRI only.
        dataset["alternate_identifier"] = [*dataset.get("alternate_identifier", []), original]
        for place, resource in enumerate(dataset.get("resources", [])):
            resource["uri"] = f"{dataset['uri']}/resource/{place}"
        new.append(dataset)
    return new


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("url")
    options = parser.parse_args()
    url, site, failed = options.url.rstrip("/"), Site(), 0
    upstream = url.split("//", 1)[1]
    found = datasets_of(f"{url}/catalog.ttl")
    count = len(found)
    sources = {  # In the order in which they are walked: the copy comes before the original.
        "national-ckan": ("ckan", pages(site, "national", renamed(found, site, "national")), f"{site.base}/national/dataset/"),
        "origin": ("hydra", f"{url}/catalog", f"{url}/"),
        "origin-fdp": ("fdp", f"{url}/fdp", f"{url}/"),
        "regional-ckan": ("ckan", pages(site, "regional", found), f"{url}/dataset/"),
    }
    # What is new, and what is a copy, in the first walk and in the second.
    right = {"national-ckan": ((count, 0), (0, count)), "origin": ((count, 0), (0, 0)),
             "origin-fdp": ((count, count), (0, count)), "regional-ckan": ((count, count), (0, count))}
    with tempfile.TemporaryDirectory() as data:
        with open(os.path.join(data, "config.toml"), "w", encoding="utf-8") as file:
            for name, (kind, address, namespace) in sources.items():
                settings = {"name": name, "kind": kind, "url": address, "namespaces": [namespace],
                            "allow_private": [site.host, upstream], "every_hours": 0}
                file.write("[[harvest.source]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        for turn in (0, 1):
            done = subprocess.run([options.binary, "--data", data, "--config", os.path.join(data, "config.toml"), "--json", "harvest"],
                                  capture_output=True, text=True, timeout=300)
            events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            summaries = {event["source"]: event for event in events if event.get("event") == "harvest"}
            for name, turns in right.items():
                summary = summaries.get(name, {})
                got = (summary.get("new"), summary.get("duplicates"))
                whole = summary.get("complete") and summary.get("seen") == count and not summary.get("refused")
                if got != turns[turn] or not whole:
                    failed += 1
                    print(f"FAIL {name}, walk {turn + 1}: new and copies {got}, right {turns[turn]}; {summary} {done.stderr[-500:]}")
                else:
                    print(f"{name}, walk {turn + 1}: {summary['pages']} documents, {summary['seen']} datasets, {got[0]} new, {got[1]} copies")
    print(f"{count} datasets from {len(sources)} sources, {failed} failures")
    return 1 if failed or count < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
