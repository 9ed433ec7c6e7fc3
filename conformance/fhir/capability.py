"""Which SHALL of the actors' CapabilityStatements a running server does not say that it serves,
and of what it says, what it does not answer.

    capability.py BASE TOKEN FOLDER      FOLDER: the official data (VESALIUS_REFERENCE)

A statement without expectations (IHE's) demands all that it lists. A resource that is SHOULD is held
to its SHALLs where the server offers it. Every interaction and search parameter that counts is then
asked for: one that is announced and answered 4xx or 5xx is missing, too. Each search is asked by GET
and by POST, as JSON and as XML, and must answer alike; each _revinclude that a statement lists must
be announced and answered, and so must its security service.

Not demanded: `search-system`, which IHE MHD lists (and the EU API says MAY): no resource has it.
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
    """(resource, whether it must be there, interactions, search parameters, _revincludes) that SHALL be."""
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
            resource.get("searchRevInclude", []),
        )


class Server:
    def __init__(self, base, token):
        self.base, self.token = base, token
        self.statement = self.get("/metadata")[1]
        self.resources = {one["type"]: one for one in self.statement["rest"][0]["resource"]}

    def ask(self, path, form=None, accept="application/fhir+json"):
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "handling=strict", "Accept": accept}
        request = urllib.request.Request(self.base + path, headers=headers, data=form and form.encode())
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.headers.get_content_type(), reply.read()
        except urllib.error.HTTPError as failure:
            return failure.code, failure.headers.get_content_type(), b""

    def get(self, path):
        status, _, content = self.ask(path)
        return status, json.loads(content) if content else {}

    def forms(self, kind):
        """What is wrong with the forms of a search, in words."""
        status, _, content = self.ask(f"/{kind}?_count=2")
        # POST is the same search; its self link may be spelled otherwise.
        posted, _, other = self.ask(f"/{kind}/_search", form="_count=2")
        if (status, posted) != (200, 200):
            return [f"search answers {status} to GET and {posted} to POST"]
        one, other = json.loads(content), json.loads(other)
        if [one.get("total"), one.get("entry")] != [other.get("total"), other.get("entry")]:
            return ["a search by POST finds something else than by GET"]
        status, media, content = self.ask(f"/{kind}?_count=2", accept="application/fhir+xml")
        if status != 200 or media != "application/fhir+xml" or content.count(b'<mode value="match"/>') != len(one.get("entry", [])):
            return [f"a search as XML is answered {status} as {media}"]
        return []

    def lacks(self, kind, must, interactions, parameters, revincludes):
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
            elif code == "search-type":
                missing += self.forms(kind)
        for name in revincludes:
            if not {name, "*"} & set(served.get("searchRevInclude", [])):
                missing.append(f"_revinclude={name}")
            elif self.get(f"/{kind}?_count=1&_revinclude={name}")[0] != 200:
                missing.append(f"_revinclude={name} is announced and not answered")
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
        return missing, 1 + len(interactions) + len(parameters) + len(revincludes)


def main():
    base, token, folder = sys.argv[1:4]
    server = Server(base.rstrip("/"), token)
    asked = faults = 0
    for path in STATEMENTS:
        statement = json.loads((pathlib.Path(folder) / "eehrxf" / path).read_text())
        count = 0
        for kind, must, *wanted in demands(statement):
            missing, looked = server.lacks(kind, must, *wanted)
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
        codes = lambda of: {c["code"] for s in of["rest"][0].get("security", {}).get("service", []) for c in s["coding"]}
        count += len(codes(statement))
        for code in sorted(codes(statement) - codes(server.statement)):
            faults += 1
            print(f"FAIL {statement['name']}: security service {code}")
        asked += count
        print(f"{statement.get('title', statement['name'])}: {count} demands")
    print(f"capability: {asked} demands, {faults} missing")
    # A run that looked at nothing holds nothing.
    return 1 if faults or asked < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
