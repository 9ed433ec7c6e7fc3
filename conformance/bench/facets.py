"""Facets and text search over a large catalogue, as the page `/catalog` answers them.

The datasets are invented: descriptions of words drawn as words are (few often, most rarely) in
English, Czech and Greek, titles, keywords, themes, categories, levels of access, and figures with
their own modalities, body sites and years; written into the tables as publishing would, with the
demo's document, which the page does not read. Requests are drawn alike: no filter, one to three
words (whole, the middle of one, without their accents), values of one to three facets, values that
are excluded, each order, later pages, three languages. `server` is the time in the server as its
own histogram has it (quantiles over all requests of the run); `client` what the client waited.
Every tenth answer is held against a count from the datasets themselves. Prints one JSON object.

`after a change`: ten times one dataset is added and another gets a new title, as a publishing command
does it; then the list is asked for without a pause until it has the new one. `requests` are those
that came meanwhile (`with_new_title`: how many of them showed the new title), `new_after_ms` the
time until the new dataset is found.
"""
import html
import http.client
import json
import os
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
import unicodedata
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harvest

LETTERS = {"en": "aeioulnrstdkmbcpgh", "cs": "aáeéiíoůuýlnrřsštďžčkmbp", "el": "αάεέηήιίοόωώνρστκμπλδγ"}
MODALITIES = ["CT", "MR", "MG", "US", "PT", "SM", "SR", "SEG", "DX", "RTSTRUCT"]
SITES = [f"http://snomed.info/sct|{code}" for code in (
    "76752008", "41216001", "816094009", "39607008", "818981001", "12738006", "64033007", "10200004")]
THEMES = ["CANCER_DISEASE", "RARE_DISEASE", "CARDIO_DISEASE", "NEURO_DISEASE", "INFECTIOUS_DISEASE"]
CATEGORIES = ["EHRS", "RQSH", "HDCT", "GENM", "PADI", "MEDD"]
LICENCES = ["CC BY 4.0", "CC BY 3.0", "CC0 1.0", "CC BY-NC 4.0"]
ACCESS = ["PUBLIC", "RESTRICTED", "NON_PUBLIC"]


def fold(text):
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(text.lower().replace("ς", "σ").replace("ß", "ss").split())


def labels():
    """What values are called: the text search finds datasets by that too, and it is not in `known`."""
    catalogue = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../catalogue")
    text = []
    for folder in ("languages", "vocabularies"):
        for name in sorted(os.listdir(os.path.join(catalogue, folder))):
            with open(os.path.join(catalogue, folder, name), encoding="utf-8") as file:
                text.append(file.read())
    return fold(" ".join(text))


LABELS = labels()


class Vocabulary:
    def __init__(self, rng):
        self.rng = rng
        self.words = {language: ["".join(rng.choice(letters) for _ in range(rng.randint(3, 11))) for _ in range(20_000)]
                      for language, letters in LETTERS.items()}

    def word(self, language):
        # Zipf: the nth word is drawn about as often as 1/n says.
        return self.words[language][min(19_999, int(20_000 ** self.rng.random()) - 1)]

    def text(self, language, count):
        return " ".join(self.word(language) for _ in range(count))


def dataset(rng, words, slug):
    def some(values, most):
        return rng.sample(values, rng.randint(1, most))
    title = {language: words.text(language, rng.randint(2, 6)).capitalize() for language in LETTERS}
    description = {language: words.text(language, rng.randint(30, 90)) for language in LETTERS}
    keywords = [words.text("en", rng.randint(1, 2)) for _ in range(rng.randint(2, 6))]
    one = {"access": [rng.choice(ACCESS)], "theme": some(THEMES, 2), "category": some(CATEGORIES, 3), "keyword": keywords,
           "modality": some(MODALITIES, 3), "body-site": some(SITES, 2),
           "year": [str(year) for year in range(rng.randint(1990, 2015), rng.randint(2016, 2026))]}
    table = lambda name, texts: f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in texts.items())
    text = (f'access_rights = "{one["access"][0]}"\nhealth_themes = {json.dumps(one["theme"])}\n'
            f'health_categories = {json.dumps(one["category"])}\nversion = "1.0"\n'
            + table("title", title) + table("description", description)
            + f"[keywords]\nen = {json.dumps(keywords)}\n[selection]\nmodality = [\"CT\"]\n")
    count = rng.randint(10, 50_000)
    shown = lambda terms: [{"term": term, "records": count, "individuals": count} for term in terms]
    figures = {"is_exact": False, "threshold": 10, "records": count, "individuals": count, "from": f"{one['year'][0]}-01-01",
               "to": f"{one['year'][-1]}-12-31",
               "facets": {name: shown(one[name]) for name in ("modality", "body-site", "year")}}
    everything = [*title.values(), *description.values(), *keywords, slug]
    return one, text, json.dumps(figures), " ".join(fold(part) for part in everything)


def fill(data, count):
    database = sqlite3.connect(os.path.join(data, "vesalius.db"))
    names = [row[1] for row in database.execute("PRAGMA table_info(dataset)")]
    row = dict(zip(names, database.execute("SELECT * FROM dataset WHERE slug = 'lung-ldct'").fetchone()))
    rng, known = random.Random(11), []
    words = Vocabulary(rng)
    seq, published = database.execute("SELECT seq, published FROM dataset_event ORDER BY seq DESC").fetchone()
    number = database.execute("SELECT value FROM counter WHERE name = 'dataset'").fetchone()[0]
    put = f"INSERT INTO dataset ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    for place in range(count):
        slug = f"d{place:06}"
        one, text, figures, folded = dataset(rng, words, slug)
        known.append((one, folded))
        number, seq, published = number + 1, seq + 1, published + 1
        row.update(slug=slug, number=number, description=text, figures=figures)
        database.execute(put, [row[name] for name in names])
        database.execute(harvest.EVENT, (seq, slug, 1, "1.0", one["access"][0], row["modified"], "0" * 64, 1, published))
    harvest.finish(database, seq, number, [number])
    return rng, words, known


def looked_for(rng, words):
    """A word, sometimes only its beginning, sometimes without its accents."""
    word = words.word(rng.choice(list(LETTERS)))
    if rng.random() < 0.3 and len(word) > 4:
        word = word[:-2]
    return fold(word) if rng.random() < 0.3 else word


def question(rng, words, known):
    """A query string, and a function that says which of the datasets answer it; the demo's own come on top."""
    pairs, tests = [], []
    if rng.random() < 0.6:
        chosen = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            word = looked_for(rng, words)
            # A part of a label is found where the label is.
            while fold(word) in LABELS:
                word = looked_for(rng, words)
            chosen.append(word)
        pairs.append(("q", " ".join(chosen)))
        needles = [fold(word) for word in chosen]
        tests.append(lambda one, folded: all(f" {needle}" in f" {folded}" for needle in needles))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        name = rng.choice(("access", "modality", "body-site", "theme", "category", "year", "keyword"))
        value = rng.choice(rng.choice(known)[0][name])
        is_excluded = rng.random() < 0.35
        if any(pair[0].removeprefix("not-") == name for pair in pairs):
            continue
        pairs.append((("not-" if is_excluded else "") + name, value))
        tests.append(lambda one, _, name=name, value=value, out=is_excluded: (value in one[name]) != out)
    if rng.random() < 0.4:
        pairs.append(("sort", rng.choice(("relevance", "title", "modified", "studies"))))
    if rng.random() < 0.3:
        pairs.append(("page", str(rng.randint(2, 40))))
    pairs.append(("lang", rng.choice(list(LETTERS))))
    return urllib.parse.urlencode(pairs), lambda one, folded: all(test(one, folded) for test in tests)


def quantiles(data, connection, binary):
    token = json.loads([line for line in os.popen(f"{binary} --data {data} --json token --role imaging-it")
                        if line.startswith("{")][-1])["token"]
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    text = connection.getresponse().read().decode()
    found = re.findall(r'^vesalius_request_seconds\{area="catalogue",quantile="([\d.]+)"\} (\S+)$', text, re.M)
    return {f"p{float(share) * 100:g}_ms": round(float(value) * 1000, 2) for share, value in found
            if share in ("0.5", "0.9", "0.99", "1")}


def main():
    binary, cache, count, requests = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        data = os.path.join(folder, "data")
        harvest.make(binary, data)
        rng, words, known = fill(data, count)
        server, connection = harvest.serve(binary, data)
        try:
            load, times, sizes, checked = os.getloadavg()[0], [], [], 0
            begun = time.perf_counter()
            for language in LETTERS:
                # The first answer in a language makes the list.
                page(connection, f"lang={language}")
            first = round((time.perf_counter() - begun) / len(LETTERS), 2)
            for place in range(requests):
                query, test = question(rng, words, known)
                body, ms = page(connection, query)
                times.append(ms)
                sizes.append(len(body))
                if place % 10 == 0:
                    checked += 1
                    expected = sum(1 for one, folded in known if test(one, folded))
                    check(query, body, expected)
            times.sort()
            server_side = quantiles(data, connection, binary)
            print(json.dumps({
                "bench": "facets", "p99_at_most_ms": 10, "datasets": count + 3, "requests": requests,
                "server": server_side,
                "client": {"p50_ms": round(statistics.median(times), 2), "p99_ms": round(times[int(len(times) * 0.99)], 2),
                           "worst_ms": round(times[-1], 2)},
                "first_seconds_each_language": first, "page_kB": round(statistics.median(sizes) / 1000, 1),
                "counts_checked": checked, "after_a_change": after_changes(data, connection), "load": load, "load_after": os.getloadavg()[0]}))
        finally:
            server.terminate()
            server.wait()


def change(data, place, titled):
    """Another dataset, and a new title for one that there is."""
    database = sqlite3.connect(os.path.join(data, "vesalius.db"), timeout=60)
    names = [row[1] for row in database.execute("PRAGMA table_info(dataset)")]
    row = dict(zip(names, database.execute("SELECT * FROM dataset WHERE slug = ?", (titled,)).fetchone()))
    number = database.execute("SELECT value FROM counter WHERE name = 'dataset'").fetchone()[0] + 1
    seq, published = database.execute("SELECT seq, published FROM dataset_event ORDER BY seq DESC").fetchone()
    text = re.sub(r'(?m)^en = "[^"]*"', f'en = "Renamed {place}"', row["description"], count=1)
    database.execute("UPDATE dataset SET description = ? WHERE slug = ?", (text, titled))
    new = dict(row, slug=f"new{place}", number=number, description=text.replace("Renamed", "Novelty"))
    database.execute(f"INSERT INTO dataset ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                     [new[name] for name in names])
    database.execute(harvest.EVENT, (seq + 1, new["slug"], 1, "1.0", "PUBLIC", row["modified"], "0" * 64, 1, published + 1))
    database.execute("UPDATE counter SET value = ? WHERE name = 'dataset_event'", (seq + 1,))
    database.execute("UPDATE counter SET value = ? WHERE name = 'dataset'", (number,))
    for one in (row["number"], number):
        at = database.execute("UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value").fetchone()[0]
        database.execute("INSERT INTO change (seq, kind, number, mark) VALUES (?, 3, ?, ?)", (at, one, at))
    database.commit()
    database.close()


def after_changes(data, connection):
    times, delays, shown = [], [], 0
    for place in range(10):
        titled = f"d{place * 7 + 100:06}"
        old = page(connection, f"q={titled}&lang=en")[0]
        change(data, place, titled)
        begin = time.perf_counter()
        while time.perf_counter() - begin < 60:
            body, ms = page(connection, f"q={titled}&lang=en")
            times.append(ms)
            shown += f"Renamed {place}".encode() in body and body != old
            body, ms = page(connection, f"q=new{place}&lang=en")
            times.append(ms)
            if f'/dataset/new{place}"'.encode() in body:
                delays.append((time.perf_counter() - begin) * 1000)
                break
        else:
            raise SystemExit("the list does not follow")
        time.sleep(0.5)
    times.sort()
    return {"requests": len(times), "p50_ms": round(statistics.median(times), 2), "p99_ms": round(times[int(len(times) * 0.99)], 2),
            "worst_ms": round(times[-1], 2), "with_new_title": f"{shown} of {len(times) // 2}",
            "new_after_ms": [round(delay) for delay in sorted(delays)]}


def page(connection, query):
    begin = time.perf_counter()
    try:
        connection.request("GET", f"/catalog?{query}", headers={"Accept": "text/html"})
        answer = connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        # Closed while nothing was asked.
        connection.close()
        begin = time.perf_counter()
        connection.request("GET", f"/catalog?{query}", headers={"Accept": "text/html"})
        answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{query}: {answer.status} {body[:300]}")
    return body, (time.perf_counter() - begin) * 1000


def check(query, body, expected):
    """The count in the heading; the demo's three datasets may be among them."""
    heading = re.search(r'<h2 id="found" class="count">(.*?)</h2>', body.decode(), re.S).group(1)
    told = int("".join(re.findall(r"\d", html.unescape(heading))) or 0)
    if not expected <= told <= expected + 3:
        raise SystemExit(f"{query}: told {told}, expected {expected} and at most 3 more")


if __name__ == "__main__":
    main()
