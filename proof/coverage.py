"""Reads a report of cargo llvm-cov: prints a table, names what is missing, fails below the limit."""

import collections
import json
import pathlib
import sys

# A little below what is reached: tests with random worlds reach a branch more or less each time.
LIMITS = {"lines": 98.0, "branches": 94.0}
report, missing = map(pathlib.Path, sys.argv[1:])
data = json.loads(report.read_text())["data"][0]
root = pathlib.Path(__file__).resolve().parents[1]

rows, lines_missing = [], []
for file in data["files"]:
    path = pathlib.Path(file["filename"])
    name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    if "lastword-proto/src" not in name:
        continue
    summary = file["summary"]
    source = path.read_text().splitlines()
    # A segment is [line, column, count, has_count, is_region_entry, is_gap].
    for line, column, count, has_count, entry, gap in file["segments"]:
        text = source[line - 1]
        # What begins in the middle of a line is the rare way out of it, such as that of a `?`.
        begins = not text[: column - 1].strip()
        if has_count and entry and not gap and count == 0 and begins:
            lines_missing.append(f"{name}:{line}: {text.strip()}")
    # A generic function has its branches once for each type: one that was taken for any counts.
    branches = collections.defaultdict(lambda: [0, 0])
    for line, column, end_line, end_column, taken, not_taken, *_ in file.get("branches", []):
        counts = branches[line, column, end_line, end_column]
        counts[0] += taken
        counts[1] += not_taken
    for (line, *_), (taken, not_taken) in branches.items():
        if taken == 0 or not_taken == 0:
            way = "never true" if taken == 0 else "never false"
            lines_missing.append(f"{name}:{line}: {way}: {source[line - 1].strip()}")
    reached = sum((taken > 0) + (not_taken > 0) for taken, not_taken in branches.values())
    count = 2 * len(branches)
    percent = 100 * reached / count if count else 100.0
    both_ways = {"count": count, "covered": reached, "percent": percent}
    rows.append((name, summary["lines"], both_ways))

missing.write_text("\n".join(sorted(set(lines_missing))) + "\n")
totals = []
for kind, column in (("lines", 1), ("branches", 2)):
    count = sum(row[column]["count"] for row in rows)
    covered = sum(row[column]["covered"] for row in rows)
    totals.append((kind, covered, count, 100 * covered / count))
for name, lines, branches in sorted(rows, key=lambda row: row[1]["percent"]):
    print(f"{lines['percent']:6.1f} % of {lines['count']:4} lines, "
          f"{branches['percent']:6.1f} % of {branches['count']:4} branches  {name}")
for kind, covered, count, percent in totals:
    print(f"{covered} of {count} {kind}: {percent:.1f} %")
sys.exit(any(percent < LIMITS[kind] for kind, *_, percent in totals))
