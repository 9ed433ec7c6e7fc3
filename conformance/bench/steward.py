"""The steward's pages over a large catalogue: what a person waits for, page by page.

The datasets are those of `facets.py`: invented, in the tables as publishing would write them, each with
the demo's document. Each page is asked for some times, after the first time, which is told apart: it
reads every dataset once. Prints one JSON object: milliseconds (median, worst) and kB per page.
"""
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import facets
import harvest


def main():
    binary, cache, count, requests = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        data = os.path.join(folder, "data")
        harvest.make(binary, data)
        facets.fill(data, count)
        server, connection = harvest.serve(binary, data)
        try:
            lines = os.popen(f"{binary} --data {data} --json token --role steward").read().splitlines()
            token = json.loads([line for line in lines if line.startswith("{")][-1])["token"]
            headers = {"Accept": "text/html", "Authorization": f"Bearer {token}"}

            def ask(path, form=None):
                begin = time.perf_counter()
                if form is None:
                    connection.request("GET", path, headers=headers)
                else:
                    more = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
                    connection.request("POST", path, urllib.parse.urlencode(form), {**headers, **more})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{path}: {answer.status} {body[:300]}")
                return body, (time.perf_counter() - begin) * 1000

            first = round(ask("/operator/catalogue")[1])
            chosen = [("dataset", f"d{place:06}") for place in range(500)]
            pages = {
                "list": ("/operator/catalogue", None),
                "list, last page": (f"/operator/catalogue?page={count}", None),
                "list, search": ("/operator/catalogue?q=d0001", None),
                "list, refused": ("/operator/catalogue?show=refused", None),
                "overview": ("/operator", None),
                "bulk edit": ("/operator/bulk-edit", None),
                "bulk edit, next page": ("/operator/bulk-edit", [("do", "page:2"), ("field", "themes")]),
                "bulk edit, all found": ("/operator/bulk-edit", [("do", "all"), ("q", "d0001")]),
                "bulk edit, 500 chosen": ("/operator/bulk-edit", [("do", "page:3"), *chosen]),
                "new description": ("/operator/new-description", None),
            }
            told = {}
            for name, (path, form) in pages.items():
                times, sizes = [], []
                for _ in range(requests):
                    body, ms = ask(path, form)
                    times.append(ms)
                    sizes.append(len(body))
                told[name] = {"p50_ms": round(statistics.median(times), 1), "worst_ms": round(max(times), 1),
                              "kB": round(statistics.median(sizes) / 1000, 1)}
            print(json.dumps({"bench": "steward", "datasets": count + 3, "requests": requests, "first_ms": first,
                              "pages": told, "load": os.getloadavg()[0]}))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
