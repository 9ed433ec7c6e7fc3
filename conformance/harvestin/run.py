#!/usr/bin/env python3
"""Hostile catalogues against a running server that harvests them: none kills it, none leads it inside,
each is left in its time, and the report of each names what was wrong.

    run.py --binary vesalius [--only WORD]

The server is started with a source per case (cases.py), which it walks one after another; this side
plays every catalogue (site_of.py), and a trap that listens on every address of the machine and that
nobody may reach. Then sources that were well say something bad, are walked again by the command line,
and must keep their last good version.
"""
import argparse
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import cases
from site_of import Site, answer, drip

SECONDS, WALK = 2, 25
# Reading a document takes its time beside the two seconds of the answer; a debug build and a busy
# machine take more.
SLACK = 20
MEMORY = 800 << 20


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def trap():
    try:
        return Site("::", socket.AF_INET6)
    except OSError:
        return Site("0.0.0.0")


class Play:
    """One case at its place on the site."""

    def __init__(self, name, case, site, trap_port, own):
        self.name, self.case, self.site = name, case, site
        self.base = f"{site.base}/{name}"
        self.words = {"@B@": self.base, "@H@": site.host, "@T@": f"http://127.0.0.1:{trap_port}", "@P@": str(trap_port),
                      "@S@": site.base, "@O@": own}

    def put(self, text):
        """A text or bytes with the words put in."""
        for word, value in self.words.items():
            text = text.replace(word.encode(), value.encode()) if isinstance(text, bytes) else text.replace(word, value)
        return text

    def say(self, what):
        """What a path answers: a response, a body with its type, or somebody who sends."""
        if callable(what):
            return what
        if isinstance(what, tuple) and what[0] == "body":
            return answer(self.put(what[1]), *what[2:])
        if isinstance(what, tuple) and what[0] == "packed":
            return answer(gzip.compress(self.put(what[1]).encode()), head=f"Content-Encoding: {what[2]}\r\n")
        if isinstance(what, tuple) and what[0] == "raw":
            return self.say(what[1])
        if isinstance(what, tuple) and what[0] == "late":
            return drip([self.put(what[2])], 0, b"", wait=what[1])
        return self.put(what)

    def play(self):
        for path, what in self.case.paths.items():
            if path == "*":
                self.site.prefixes.append((f"/{self.name}/", lambda at, make=what: self.say(make(at))))
            else:
                self.site.paths[f"/{self.name}{path}"] = self.say(what)

    def source(self):
        settings = {"name": self.name, "url": self.put(self.case.url), "kind": self.case.kind, "namespaces": [f"{self.base}/d/"],
                    "document_mib": 4, "total_mib": 64, "pages": 60, "seconds": SECONDS, "walk_seconds": WALK, "gone_after": 2,
                    "every_hours": 24, "allow_private": [self.site.host], **self.case.config}
        return "[[harvest.source]]\n" + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items()) + "\n"


class Server:
    def __init__(self, binary, data, port):
        self.binary, self.data, self.base = binary, data, f"http://127.0.0.1:{port}"
        self.log = open(os.path.join(data, "log"), "wb")
        self.process = subprocess.Popen([binary, "--data", data, "--config", os.path.join(data, "config.toml"), "serve", "--listen",
                                         f"127.0.0.1:{port}"], stdout=self.log, stderr=self.log)
        for _ in range(600):
            if self.get("/healthz")[0] == 200:
                break
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended: {open(os.path.join(data, 'log')).read()[-2000:]}")
            time.sleep(0.1)
        self.token = json.loads(self.run("--json", "token", "--role", "admin").splitlines()[-1])["token"]

    def run(self, *words, check=True):
        command = [self.binary, "--data", self.data, "--config", os.path.join(self.data, "config.toml"), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if check and done.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(words)}: {done.returncode} {done.stderr}")
        return done.stdout

    def get(self, path):
        request = urllib.request.Request(self.base + path, headers={"Accept": "text/html", "Accept-Language": "en"})
        if path.startswith("/operator"):
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as failure:
            return failure.code, failure.read().decode("utf-8", "replace")
        except OSError:
            return 0, ""

    def peak(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) << 10


class Report:
    """What the page of a source says."""

    def __init__(self, server, name):
        self.status, text = server.get(f"/operator/harvest/{name}")
        self.codes = set(re.findall(r"<code>([a-z-]+)</code>", text))
        tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", text))
        self.kept = int(tiles.get("Kept", "-1").replace(",", ""))
        self.older = int(tiles.get("Older version kept", "-1").replace(",", ""))
        walks = re.findall(r'<tr><th scope="row"><time[^>]*>[^<]*</time></th><td>([^<]*)</td>', text)
        self.walks = len(walks)
        took = re.match(r"(?:(\d+) min )?([\d.]+) s", walks[0]) if walks else None
        self.took = 60 * int(took.group(1) or 0) + float(took.group(2)) if took else -1.0
        self.raw = text

    def is_unsafe(self):
        return bool(re.search(r'href="(?![/#]|https?://|mailto:)', self.raw, re.I)) or "<script" in self.raw


def planted(binary):
    """Faults that a judge without eyes would not see: each makes one more failure."""
    site, caught, port = Site(), trap(), free_port()
    redirected = cases.Case("planted", "the trap may be reached", cases.redirect("http://127.0.0.1:@P@/"), {"private-address"})
    redirected.config["allow_private"] = [site.host, f"127.0.0.1:{caught.port}"]
    wrong = [redirected, cases.body("planted", "a good document as refused", cases.GOOD, {"gate"}, 0),
             cases.body("planted", "a refused document as good", cases.GOOD.replace("dct:title", "dct:x"), (), 1),
             cases.body("planted", "two datasets for one", cases.GOOD, (), 2)]
    failures, peak = harvest(binary, wrong, [], site, caught, port)
    seen = len(failures)
    print(f"planted: {seen} of 5 faults seen")
    return 0 if seen == 5 and peak else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--planted", action="store_true", help="five faults of the suite's own must be seen")
    options = parser.parse_args()
    if options.planted:
        return planted(options.binary)
    chosen = [case for case in cases.all_cases() if options.only in f"{case.family}: {case.name}"]
    failures, walked = harvest(options.binary, chosen, cases.SPOILS, Site(), trap(), free_port())
    print(f"{walked} hostile harvests, {len(failures)} failures")
    return 1 if failures or (not options.only and walked < 200) else 0


def harvest(binary, chosen, spoiling, site, caught, port):
    """Walks the cases; the failures, and how many harvests there were."""
    own = f"http://127.0.0.1:{port}"
    plays = [Play(f"c{number}", case, site, caught.port, own) for number, case in enumerate(chosen)]
    victim = Play("victim", cases.body("victim", "whose names are claimed", cases.GOOD, (), 1), site, caught.port, own)
    spoils = [Play(f"keep{number}", cases.body("spoiled", name, cases.GOOD, (), 1), site, caught.port, own)
              for number, (name, _, _) in enumerate(spoiling)]
    everyone = [*plays, victim, *spoils]
    failures = []

    def fail(text):
        failures.append(text)
        print(f"FAIL {text}")

    with tempfile.TemporaryDirectory() as data:
        with open(os.path.join(data, "config.toml"), "w", encoding="utf-8") as config:
            config.write(f'[server]\npublic_url = "{own}"\nworkers = 2\n\n')
            for one in everyone:
                one.play()
                config.write(one.source())
        began = time.monotonic()
        server = Server(binary, data, port)
        try:
            slowest, watching = [0.0], [True]

            def watch():
                while watching[0]:
                    at = time.monotonic()
                    if server.get("/healthz")[0] != 200:
                        fail("/healthz does not answer")
                    slowest[0] = max(slowest[0], time.monotonic() - at)
                    time.sleep(0.3)

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            # Walked in the order of the configuration: when the last one is through, all are.
            limit = time.monotonic() + 20 * 60
            while Report(server, everyone[-1].name).walks < 1:
                if time.monotonic() > limit or server.process.poll() is not None:
                    fail("the server did not come to the last source")
                    break
                time.sleep(1)
            print(f"{len(everyone)} sources walked in {time.monotonic() - began:.0f} s")
            longest, families = (0.0, ""), {}
            for one in everyone:
                case, report = one.case, Report(server, one.name)
                name = f"{case.family}: {case.name}"
                known = families.setdefault(case.family, [0, 0])
                known[0] += 1
                before = len(failures)
                kept = case.kept if isinstance(case.kept, range) else range(case.kept, case.kept + 1)
                found = {code for code in report.codes if code}
                if report.status != 200 or report.walks < 1:
                    fail(f"{name}: no report ({report.status})")
                elif "" not in case.codes and (found & case.codes if case.codes else found) == set() and case.codes:
                    fail(f"{name}: {sorted(found)} and not {sorted(case.codes)}")
                elif not case.codes and found:
                    fail(f"{name}: {sorted(found)}, though nothing is wrong")
                elif report.kept not in kept:
                    fail(f"{name}: {report.kept} kept, right: {kept}; {sorted(found)}")
                if report.took > WALK + SLACK:
                    fail(f"{name}: {report.took:.0f} s")
                if report.is_unsafe():
                    fail(f"{name}: the page leads somewhere unsafe")
                known[1] += len(failures) > before
                longest = max(longest, (report.took, name))
            for family, (number, bad) in families.items():
                print(f"{family}: {number} cases, {bad} failed")
            print(f"longest: {longest[0]:.1f} s of {WALK + SLACK} ({longest[1]}); /healthz at most {slowest[0]:.2f} s")

            # What was well says something bad.
            for one, (name, what, code) in zip(spoils, spoiling):
                iri = urllib.request.quote(f"{one.base}/d/a", safe="")
                good = server.get(f"/operator/harvest/{one.name}/document?iri={iri}")
                site.paths[f"/{one.name}/catalog.ttl"] = one.say(what)
                server.run("harvest", one.name)
                report = Report(server, one.name)
                again = server.get(f"/operator/harvest/{one.name}/document?iri={iri}")
                if good[0] != 200 or again != good:
                    fail(f"spoiled by {name}: the last good version is not what it was")
                if code not in report.codes or report.kept != 1:
                    fail(f"spoiled by {name}: {sorted(report.codes)} and not {code}; {report.kept} kept")
            print(f"spoiled: {len(spoils)} cases")
            watching[0] = False
            watcher.join()
            if caught.asked:
                fail(f"the trap was reached: {caught.asked[:5]}")
            peak = server.peak()
            print(f"trap: reached {len(caught.asked)} times; server's peak memory {peak >> 20} MiB")
            if peak > MEMORY:
                fail(f"the server took {peak >> 20} MiB")
            if server.process.poll() is not None:
                fail("the server ended")
            if b"panicked" in open(os.path.join(data, "log"), "rb").read():
                fail("the server's log tells of a panic")
        finally:
            server.process.terminate()
            server.process.wait(30)
    return failures, len(everyone) + len(spoils)


if __name__ == "__main__":
    sys.exit(main())
