"""Which SHALL of the actors' CapabilityStatements a running server does not say that it serves,
and of what it says, what it does not answer.

    capability.py BASE TOKEN FOLDER      FOLDER: the official data (VESALIUS_REFERENCE)

A statement without expectations (IHE's) demands all that it lists. A resource that is SHOULD is held
to its SHALLs where the server offers it. Every interaction and search parameter that counts is then
asked for: one that is announced and answered 4xx or 5xx is missing, too.
"""
import json
import pathlib
import sys
import urllib.error
import urllib.request

STATEMENTS = [
    "eu-health-data-api/capabilitystatements/CapabilityStatement-EEHRxF-DocumentAccessProvider.json",
    "eu-health-data-api/capabilitystatements/CapabilityStatement-EEHRxF-ResourceAccessProvider.json",
    "hl7-eu-imaging-r4/capabilitystatements/CapabilityStatement-EehrxfImagingDocumentAccessProvider.json",
    "hl7-eu-imaging-r4/capabilitystatements/CapabilityStatement-EeehrxfImagingReportResourceAccessProvider.json",
    "ihe-rad-mado/capabilitystatements/CapabilityStatement-IHE.RAD.MADO.DocumentResponder.json",
    "ihe-iti-mhd-4.2.3/capabilitystatements/CapabilityStatement-IHE.MHD.DocumentResponder.json",
]
# A value that a parameter of the type can take.
VALUES = {"token": "x", "reference": "x", "string": "x", "date": "2024"}
# What the statement spells otherwise than the standard that it names.
SPELLED = {"_lastupdated": "_lastUpdated", "body-site": "bodysite"}


def expectation(of, default):
    """SHALL, SHOULD, MAY of an element."""
    for extension in of.get("extension", []):
        if extension["url"].endswith("capabilitystatement-expectation"):
            return extension["valueCode"]
    return default


def demands(statement):
    """(resource, whether it must be there, interactions, search parameters) that SHALL be."""
    said = json.dumps(statement)
    default = "MAY" if "capabilitystatement-expectation" in said else "SHALL"
    # MADO marks parameters alone and imports the rest.
    for resource in statement["rest"][0]["resource"]:
        of = expectation(resource, default)
        yield (
            resource["type"],
            of == "SHALL",
            [one["code"] for one in resource.get("interaction", []) if expectation(one, default) == "SHALL"],
            [(one["name"], one["type"]) for one in resource.get("searchParam", []) if expectation(one, default) == "SHALL"],
        )


class Server:
    def __init__(self, base, token):
        self.base, self.token = base, token
        self.statement = self.get("/metadata")[1]
        self.resources = {one["type"]: one for one in self.statement["rest"][0]["resource"]}

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "handling=strict"}
        request = urllib.request.Request(self.base + path, headers=headers)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as failure:
            return failure.code, {}

    def lacks(self, kind, must, interactions, parameters):
        """What is missing, in words; and how many demands were looked at."""
        served = self.resources.get(kind)
        if served is None:
            return (["the resource"] if must else []), 1
        missing = []
        codes = {one["code"] for one in served["interaction"]}
        names = {one["name"]: one["type"] for one in served.get("searchParam", [])}
        for code in interactions:
            if code not in codes:
                missing.append(code)
            elif code == "read" and self.get(f"/{kind}/there-is-none")[0] != 404:
                missing.append("read is announced and not answered")
            elif code == "search-type" and self.get(f"/{kind}?_count=1")[0] != 200:
                missing.append("search-type is announced and not answered")
        for name, of in parameters:
            own = name if name in names else SPELLED.get(name, name)
            if own not in names:
                missing.append(f"search by {name}")
                continue
            # IHE MHD's statement calls `type` a reference; it is a token in R4.
            if names[own] != of and (kind, name) != ("DocumentReference", "type"):
                missing.append(f"search by {name} as {of}: it is a {names[own]}")
            status, _ = self.get(f"/{kind}?{own}={VALUES[names[own]]}&_count=1")
            if status != 200:
                missing.append(f"search by {name} is announced and answered {status}")
        return missing, 1 + len(interactions) + len(parameters)


def main():
    base, token, folder = sys.argv[1:4]
    server = Server(base.rstrip("/"), token)
    asked = faults = 0
    for path in STATEMENTS:
        statement = json.loads((pathlib.Path(folder) / "eehrxf" / path).read_text())
        count = 0
        for kind, must, interactions, parameters in demands(statement):
            missing, looked = server.lacks(kind, must, interactions, parameters)
            count += looked
            for what in missing:
                faults += 1
                print(f"FAIL {statement.get('title', statement['name'])}: {kind}: {what}")
        for name in statement.get("format", []):
            bare = name.rsplit("+", 1)[-1]
            count += 1
            if bare not in server.statement["format"]:
                faults += 1
                print(f"FAIL {statement['name']}: format {name}")
        asked += count
        print(f"{statement.get('title', statement['name'])}: {count} demands")
    print(f"capability: {asked} demands, {faults} missing")
    # A run that looked at nothing holds nothing.
    return 1 if faults or asked < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
