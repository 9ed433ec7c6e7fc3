"""Mutants of cases, for comparing judges: each right resource spoilt in one random place.

    mutate.py CASES.ndjson NUMBER SEED

The judges need not agree that a mutant is wrong (another date is as right); where they differ, one
of them is wrong. Documents with many entries are left out, for time.
"""

import copy
import json
import random
import sys


def places(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key, path + (key,)
            yield from places(item, path + (key,))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index, path + (index,)
            yield from places(item, path + (index,))


def spoil(resource, dice):
    holder, key, path = dice.choice([p for p in places(resource) if p[2] != ("resourceType",)])
    value = holder[key]
    ways = ["remove", "wrap", "swap", "twice", "rename", "empty"]
    if isinstance(value, str):
        ways += ["text", "text", "text"]
    if isinstance(value, list):
        ways += ["twice", "wrap"]
    way = dice.choice(ways)
    if way == "remove":
        del holder[key]
    elif way == "wrap":
        holder[key] = value[0] if isinstance(value, list) and value else [value]
    elif way == "swap":
        holder[key] = dice.choice([7, -1, True, "x", {"x": 1}, "2024-02-30", "http://x.example", "Patient/1"])
    elif way == "twice":
        if isinstance(value, list):
            value.append(copy.deepcopy(dice.choice(value)) if value else "x")
        else:
            del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        holder[key + "s"] = holder.pop(key)
    elif way == "empty":
        holder[key] = {} if isinstance(value, dict) else [] if isinstance(value, list) else ""
    elif way == "text":
        holder[key] = dice.choice([value + " ", value.upper(), value[: len(value) // 2], value.replace("/", "|", 1),
                                   "Organization/1", "#1", "urn:oid:1.2", "unknown"])
    return f"{way} {'.'.join(map(str, path))}"


def main():
    cases = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    cases = [c for c in cases if len(json.dumps(c)) < 20_000]
    dice = random.Random(int(sys.argv[3]))
    for number in range(int(sys.argv[2])):
        case = copy.deepcopy(dice.choice(cases))
        what = spoil(case["resource"], dice)
        case["case"] = f"{number}: {case['case']}: {what}"
        print(json.dumps(case, ensure_ascii=False))


if __name__ == "__main__":
    main()
