"""Prints what each judge says of each case, and holds it to the tables beside this file.

    table.py WORK SET...     WORK/SET.cases, and WORK/SET.JUDGE of the judges that ran

`planted`: every right resource is accepted by the profile judges, every defect refused by ours, and
by the judges that its row names in `seen`, no other. `official`: ours and HAPI agree on each
example, except as `differences.toml` says. `emitted`: no judge refuses anything, except by a mistake
of its own that `../emitted/mistakes.toml` explains. Exit status 1 otherwise.
"""

import json
import os
import re
import sys
import tomllib
from pathlib import Path

from cases import HERE, defects

# Judges of R4 alone say nothing of profiles, and one of them counts slices wrong.
BASE_ONLY = ("medplum", "bindings", "pyrofile")
JUDGES = ("ours", "snapshots", "hapi", *BASE_ONLY)


def lines(path):
    # Lines of JSON, in which other ends of lines than this one may stand.
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


def errors_of(work, set_, judge, names):
    """Number of errors by case, or nothing when the judge did not run."""
    errors = dict.fromkeys(names, 0)
    told = {name: [] for name in names}
    if judge in BASE_ONLY:
        path = work / f"{set_}.{judge}.txt"
        if not path.exists():
            return None, told
        rows = lines(path)
        if rows[-1:] != ["complete"]:
            sys.exit(f"{judge} broke off on {set_}")
        for row in rows[:-1]:
            number, _, message = row.partition(": ")
            if number.isdigit():
                name = names[int(number) - 1]
                errors[name] += 1
                told[name].append(message)
        return errors, told
    path = work / (f"{set_}.{judge}" if judge != "hapi" else "all.hapi")
    if not path.exists():
        return None, told
    rows = lines(path)
    if rows[-1:] != ["complete"]:
        sys.exit(f"{judge} broke off on {set_}")
    done = set()
    for line in rows[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            sys.exit(f"{judge} says on {set_}: {line[:200]!r}")
        name = row["case"]
        if name not in errors:
            continue
        if "errors" in row:
            done.add(name)
        elif row["severity"] in ("error", "fatal"):
            errors[name] += 1
            told[name].append(f"{row['where']}: {row['rule']}: {row['message']}")
    if done != set(names):
        sys.exit(f"{judge} did not judge {sorted(set(names) - done)[:3]} of {set_}")
    return errors, told


def main():
    work, wrong = Path(sys.argv[1]), []
    for set_ in sys.argv[2:]:
        names = [json.loads(line)["case"] for line in lines(work / f"{set_}.cases")]
        results = {judge: errors_of(work, set_, judge, names) for judge in JUDGES}
        ran = {judge: errors for judge, (errors, _) in results.items() if errors is not None}
        told = {judge: told for judge, (_, told) in results.items()}
        print(f"{set_}: {len(names)} cases")
        print("  refused by " + ", ".join(f"{j}: {sum(map(bool, e.values()))}" for j, e in ran.items()))
        if set_ == "planted":
            wrong += planted(names, ran, told)
        elif set_ == "official":
            wrong += official(names, ran, told)
        elif set_ == "emitted":
            wrong += emitted(names, ran, told)
        else:
            for name in names:
                said = {j: e[name] for j, e in ran.items() if e[name]}
                print(f"  {name}: " + (", ".join(f"{j} {n}" for j, n in said.items()) or "holds"))
                for judge in said:
                    for message in told[judge][name][:5]:
                        print(f"      {judge}: {message[:200]}")
    if target := os.environ.get("WRONG"):
        Path(target).write_text("".join(f"{line}\n" for line in wrong), encoding="utf-8")
    for line in wrong[:100]:
        print(f"WRONG {line[:1000]}")
    if len(wrong) > 100:
        print(f"WRONG … and {len(wrong) - 100} more")
    sys.exit(1 if wrong else 0)


def planted(names, ran, told):
    wrong = []
    for name in (n for n in names if n.startswith("right: ")):
        for judge in ("ours", "snapshots", "hapi"):
            if ran.get(judge, {}).get(name):
                wrong.append(f"{judge} refuses {name}: {told[judge][name][:2]}")
    rows, found = defects(), {}

    def sees(judge, row):
        # A judge that refuses the right resource has not seen what is wrong with the other.
        return bool(ran[judge][row["name"]]) and not ran[judge]["right: " + row["base"]]

    print("  " + "defect".ljust(56) + " ".join(j[:9].ljust(9) for j in ran))
    for row in rows:
        name = row["name"]
        print("  " + name[:55].ljust(56) + " ".join(("x" if sees(j, row) else ".").ljust(9) for j in ran))
        if "ours" in ran and not ran["ours"][name]:
            wrong.append(f"ours accepts {name}")
        found[name] = [judge for judge in ran if judge != "ours" and sees(judge, row)]
        for judge in ran:
            if judge != "ours" and (judge in row["seen"]) != sees(judge, row):
                wrong.append(f"{judge} {'sees' if sees(judge, row) else 'does not see'} {name}: not as its row says")
    if all(judge in ran for judge in JUDGES[1:]):
        alone = [row["name"] for row in rows if not found[row["name"]]]
        if alone:
            print(f"  seen by ours alone: {', '.join(alone)}")
    if target := os.environ.get("SEEN"):
        Path(target).write_text(json.dumps(found, ensure_ascii=False))
    return wrong


def official(names, ran, told):
    if "ours" not in ran or "hapi" not in ran:
        return []
    rows = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8"))["difference"]
    expected, wrong = {row["case"]: row["refused_by"] for row in rows}, []
    for name in names:
        by = [judge for judge in ("ours", "hapi") if ran[judge][name]]
        said = " ".join(by) if len(by) == 1 else ""
        if said != expected.get(name, ""):
            wrong.append(f"{name}: refused by {by or 'nobody'}, not as differences.toml says: "
                         f"{[message for judge in by for message in told[judge][name][:2]]}")
        elif len(by) == 2:
            print(f"  refused by both: {name}: {told['ours'][name][0]}")
    print(f"  ours and HAPI differ on {len(expected)} of {len(names)}, as explained")
    return wrong


def emitted(names, ran, told):
    path = HERE.parent / "emitted" / "mistakes.toml"
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mistake"]
    used, wrong, count = [0] * len(rows), [], 0
    for judge in ran:
        own = [(at, re.compile(row["says"]), re.compile(row.get("of", ""))) for at, row in enumerate(rows)
               if row["judge"] == judge]
        refused = {}
        for name in names:
            for message in told[judge][name]:
                for at, says, of in own:
                    if says.search(message) and of.search(name):
                        used[at] += 1
                        break
                else:
                    refused.setdefault(name, []).append(message)
        count += len(refused)
        wrong += [f"{judge} refuses {name}: {messages[:3]}" for name, messages in refused.items()]
    for row, times in zip(rows, used, strict=True):
        if row["judge"] in ran:
            print(f"  {times} times a mistake of {row['judge']}: {row['reason']}")
    missing = [judge for judge in JUDGES if judge not in ran]
    print(f"  {len(names)} emitted resources, {count} refused; judged by {', '.join(ran)}"
          + (f"; without {', '.join(missing)}" if missing else ""))
    return wrong


if __name__ == "__main__":
    main()
