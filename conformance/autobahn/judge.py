"""Judges the reports of Autobahn|Testsuite: OK or INFORMATIONAL, in behaviour and in closing, for every
case, or it fails. After a full run of both directions it writes the table of docs/conformance.md."""

import collections
import json
import pathlib
import re
import sys

ALL = 517
ALLOWED = {"OK", "INFORMATIONAL"}
SECTIONS = {
    1: "Framing", 2: "Pings and pongs", 3: "Reserved bits", 4: "Opcodes", 5: "Fragmentation",
    6: "UTF-8", 7: "Close handshake", 9: "Limits", 10: "Auto-fragmentation",
    12: "Compression, kinds of payload", 13: "Compression, parameters",
}


def read(folder):
    index = json.loads((folder / "index.json").read_text())
    (cases,) = index.values()
    return cases


def judge(direction, cases, scope):
    bad = [
        f"{direction} {name}: {case['behavior']}, closing {case['behaviorClose']}"
        for name, case in sorted(cases.items(), key=lambda item: key(item[0]))
        if case["behavior"] not in ALLOWED or case["behaviorClose"] not in ALLOWED
    ]
    if scope == "all" and len(cases) != ALL:
        bad.append(f"{direction}: {len(cases)} cases ran, expected {ALL}")
    return bad


def key(name):
    return [int(part) for part in name.split(".")]


def table(results):
    rows = ["| Section | Cases | " + " | ".join(f"As {d}" for d in results) + " |"]
    rows.append("|---|--:|" + "---|" * len(results))
    counts = {d: collections.defaultdict(collections.Counter) for d in results}
    for direction, cases in results.items():
        for name, case in cases.items():
            counts[direction][key(name)[0]][case["behavior"]] += 1
    for section, title in SECTIONS.items():
        cells = []
        for direction in results:
            seen = counts[direction][section]
            cells.append(", ".join(f"{n} {verdict}" for verdict, n in sorted(seen.items(), reverse=True)))
        total = sum(next(iter(counts.values()))[section].values())
        rows.append(f"| {section} {title} | {total} | " + " | ".join(cells) + " |")
    totals = []
    for direction in results:
        seen = collections.Counter(case["behavior"] for case in results[direction].values())
        totals.append(", ".join(f"{n} {verdict}" for verdict, n in sorted(seen.items(), reverse=True)))
    rows.append(f"| **All** | {ALL} | " + " | ".join(f"**{t}**" for t in totals) + " |")
    return "\n".join(rows)


def write(results):
    page = pathlib.Path("docs/conformance.md")
    text = page.read_text()
    marked = re.compile(r"(<!-- autobahn -->\n).*(<!-- /autobahn -->)", re.S)
    assert marked.search(text), f"{page} has no markers"
    page.write_text(marked.sub(lambda m: m[1] + table(results) + "\n" + m[2], text))


def main(out, which, scope):
    directions = ["server", "client"] if which == "both" else [which]
    results = {d: read(pathlib.Path(out) / d) for d in directions}
    bad = [line for d, cases in results.items() for line in judge(d, cases, scope)]
    for line in bad:
        print("FAILED", line)
    total = sum(len(cases) for cases in results.values())
    if not bad and which == "both" and scope == "all":
        write(results)
    print(f"{total - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
