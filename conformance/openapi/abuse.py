#!/usr/bin/env python3
"""Sends what abuse.toml lists to a running server.

    conformance/openapi/abuse.py --url URL --token TOKEN [--seconds 20] [--share 1]

--url       the server; --token a token of the role imaging-it with system/*.cruds
--seconds   longest that one answer may take
--share     send every n-th question only

Holds: no answer is 5xx or takes longer; what runs in a narrative is refused; every refusal is an
OperationOutcome that no browser would run; nothing that was sent shows a file of the server; at the
end the server answers as at the beginning. Asserts nothing of what a bad search finds.
"""

import argparse
import json
import sys
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

TABLE = tomllib.loads((Path(__file__).parent / "abuse.toml").read_text(encoding="utf-8"))
XHTML = "http://www.w3.org/1999/xhtml"


class Server:
    def __init__(self, url, token, seconds):
        self.url, self.token, self.seconds = url.rstrip("/"), token, seconds
        self.wrong, self.statuses, self.slowest = [], Counter(), (0.0, "")

    def send(self, method, path, body=None, media="application/fhir+json"):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/fhir+json"}
        if body is not None:
            headers["Content-Type"] = media
        request = urllib.request.Request(f"{self.url}/fhir{path}", method=method, headers=headers, data=body)
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=self.seconds * 3) as answer:
                status, head, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            status, head, text = refused.code, refused.headers, refused.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError) as failure:
            # Who sends too much may find the door closed before all is said.
            is_closed = isinstance(getattr(failure, "reason", failure), (ConnectionResetError, BrokenPipeError))
            return (413, {}, b"") if is_closed and body is not None and len(body) > 1_000_000 else (0, {}, str(failure).encode())
        self.slowest = max(self.slowest, (time.monotonic() - began, f"{method} {path[:60]}"))
        return status, head, text

    def ask(self, what, method, path, body=None, media="application/fhir+json", refuse=False):
        status, head, text = self.send(method, path, body, media)
        self.statuses[status] += 1
        said = f"{what}: {method} {path[:80]} answered {status}"
        if status == 0 or status >= 500:
            self.wrong.append(f"{said} {text[:200]!r}")
        elif refuse and not 400 <= status < 500:
            self.wrong.append(f"{said}, and had to refuse")
        elif self.slowest[0] > self.seconds:
            self.wrong.append(f"{said} after {self.slowest[0]:.1f} s")
            self.slowest = (0.0, "")
        elif b"root:" in text:
            self.wrong.append(f"{said} and shows a file of the server")
        elif status >= 400 and head:
            media = head.get("Content-Type", "")
            if "html" in media or head.get("X-Content-Type-Options") != "nosniff":
                self.wrong.append(f"{said} as `{media}`, which a browser may run")
            elif "fhir+json" in media and json.loads(text).get("resourceType") != "OperationOutcome":
                self.wrong.append(f"{said} without an OperationOutcome")


def bodies():
    for row in TABLE["body"]:
        text = row.get("text")
        if text is None:
            times = row["times"]
            text = row["before"] + row["repeat"] * times + row.get("middle", "") + row.get("again", "") * times
            text += row.get("after", "")
        # TOML's literals keep JSON's escapes as they are.
        yield row["name"], text.encode("utf-8"), row.get("media", "application/fhir+json")


def narratives():
    rows = TABLE["narrative"]
    for element in rows["elements"]:
        yield f"<{element}>x</{element}>"
        yield f"<{element}/>"
    for event in rows["events"]:
        for carrier in rows["carriers"]:
            yield f'<{carrier} {event}="alert(1)">x</{carrier}>'
    for url in rows["urls"]:
        for place in rows["places"]:
            yield place.format(url)
    for style in rows["styles"]:
        for carrier in ("p", "td"):
            yield f'<{carrier} style="{style}">x</{carrier}>'
    yield from rows["texts"]


# What is text and no element is what a reader sees, and may stay.
HARMLESS = {"&lt;script&gt;"}


def quoted(name, value):
    return f"{urllib.parse.quote(name, safe=':[].')}={urllib.parse.quote(value, safe='%')}"


def questions(statement):
    rows = TABLE["question"]
    words, modifiers = rows["words"], rows["modifiers"]
    at = 0
    for resource in statement["rest"][0]["resource"]:
        kind = resource["type"]
        for parameter in resource.get("searchParam", []):
            # Every parameter meets some words with some modifiers; every word meets every type.
            for step in range(6):
                at += 1
                word, modifier = words[(at * 7 + step) % len(words)], modifiers[(at + step * 5) % len(modifiers)]
                yield f"/{kind}?{quoted(parameter['name'] + modifier, word)}"
        if kind in ("Patient", "ImagingStudy", "Observation", "DocumentReference", "StructureDefinition", "Subscription"):
            for query in rows["queries"]:
                yield f"/{kind}?{urllib.parse.quote(query, safe='=&:*_%')}"
            for query, times in rows["many"]:
                yield f"/{kind}?" + "&".join([query] * times)
            for name, times in rows["lists"]:
                yield f"/{kind}?{name}=" + ",".join(["x"] * times)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--token", required=True)
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--share", type=int, default=1)
    arguments = arguments.parse_args()
    server = Server(arguments.url, arguments.token, arguments.seconds)
    status, _, before = server.send("GET", "/metadata")
    if status != 200:
        sys.exit(f"the server does not answer: {status}")
    counts = Counter()
    for name, body, media in bodies():
        for address in TABLE["addresses"]:
            method, path = address.split(" ")
            counts["bodies"] += 1
            server.ask(name, method, path, body, media)
    for payload in narratives():
        div = f'<div xmlns="{XHTML}">{payload}</div>'
        resource = {"resourceType": "Basic", "code": {"text": "x"}, "text": {"status": "generated", "div": div}}
        refuse = payload not in HARMLESS
        counts["narratives"] += 2
        server.ask(f"narrative {payload}", "POST", "/Basic", json.dumps(resource).encode(), refuse=refuse)
        xml = f'<Basic xmlns="http://hl7.org/fhir"><text><status value="generated"/>{div}</text><code><text value="x"/></code></Basic>'
        server.ask(f"XML narrative {payload}", "POST", "/Basic", xml.encode(), "application/fhir+xml", refuse=refuse)
    for at, path in enumerate(questions(json.loads(before))):
        if at % arguments.share == 0:
            counts["questions"] += 1
            server.ask("question", "GET", path)
    status, _, after = server.send("GET", "/metadata")
    if status != 200 or after != before:
        server.wrong.append(f"the server answers {status} now, and not as before")
    print(", ".join(f"{count:,} {what}" for what, count in counts.items()),
          "- statuses:", ", ".join(f"{status} {count:,}" for status, count in sorted(server.statuses.items())))
    print(f"slowest: {server.slowest[0]:.2f} s, {server.slowest[1]}")
    for wrong in server.wrong[:40]:
        print(wrong)
    if server.wrong:
        sys.exit(f"{len(server.wrong)} do not hold")


if __name__ == "__main__":
    main()
