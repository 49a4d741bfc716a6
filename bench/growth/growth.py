"""How the cost of the protocol grows with the work, in counts: user instructions (callgrind), and
allocations, bytes allocated and bytes held at the peak (a counting allocator).

Each curve is one kind of work in many sizes. Its small points say what the work costs: `a`, the first
of them, and `b` for each further unit (a byte, a fragment, a read, a message), by the last of them.
Every large point may cost a + b * units, and a quarter more. What grows faster than the work fails:
whatever its constant, a square is found as soon as it is a quarter of the whole.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOLERANCE = 1.25
# Processors that copy a block in one instruction are counted one for each byte of it, others one for
# each 32: the C library is told to copy in the same way on all of them.
PLAIN = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS,-FSRM"}
# Seconds for one curve in the short form, ten times what the slowest needs: a square takes hours.
PATIENCE = 60
# What is judged, and how much of it is too little to say anything.
FIGURES = {"instructions": 2000, "allocations": 16, "allocated_bytes": 4096, "peak_bytes": 4096}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/growth/run")
    parser.add_argument("binary", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--long", action="store_true", help="the largest points as well (minutes)")
    parser.add_argument("--only", default="", metavar="WORD", help="curves with this in their name")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write one JSON line for each point")
    args = parser.parse_args()
    listed = subprocess.run([args.binary, "list"], check=True, capture_output=True, text=True)
    curves = [json.loads(line) for line in listed.stdout.splitlines()]
    curves = [curve for curve in curves if args.only in curve["curve"]]
    with ThreadPoolExecutor(2) as pool:
        measured = pool.map(lambda curve: measure(args.binary, curve, args.long), curves)
        points = {curve["curve"]: found for curve, found in zip(curves, measured)}

    print(f"{'':26}{'instructions per unit':>26}{'allocations':>16}{'bytes allocated':>20}"
          f"{'bytes at the peak':>22}")
    failures = []
    for curve in curves:
        found = points[curve["curve"]]
        failures += judge(curve, found)
        if len(found) >= len(curve["small"]):
            show(curve, found)
    if args.json:
        lines = [json.dumps(point) for found in points.values() for point in found]
        args.json.write_text("\n".join(lines) + "\n")
    for failure in failures:
        print(failure, file=sys.stderr)
    compared = sum(len(curve["large"]) for curve in curves)
    print(f"{len(curves)} curves, {compared} large points held against the small ones: "
          f"{len(failures) or 'none'} cost more than the work")
    return 1 if failures else 0


def measure(binary: Path, curve: dict, long: bool) -> list[dict]:
    """The points of a curve, from little work to much."""
    xs = curve["small"] + curve["large"] + (curve["long"] if long else [])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
            "--toggle-collect=growth::curve::counted*", "--dump-after=growth::curve::told*",
            binary, "run", curve["curve"], *map(str, xs),
        ]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | PLAIN
        ) as process:
            try:
                said, problems = process.communicate(timeout=None if long else PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                said, problems = process.communicate()
                said = said.rpartition("\n")[0]
            else:
                if process.returncode != 0:
                    sys.exit(f"{curve['curve']} failed under callgrind:\n{problems}")
        # A point is told before what follows it is begun.
        points = [json.loads(line) for line in said.splitlines()]
        for number, point in enumerate(points, 1):
            point |= about(curve, point)
            point["instructions"] = total(Path(f"{out}.{number}"))
            if point["units"]:
                point[f"instructions_per_{curve['unit']}"] = point["instructions"] / point["units"]
            point["instructions_per_byte"] = point["instructions"] / point["bytes"]
    return points


def about(curve: dict, point: dict) -> dict:
    role = "small" if point["x"] in curve["small"] else "large"
    return {"title": curve["title"], "x_is": curve["x"], "unit": curve["unit"], "role": role}


def total(dump: Path) -> int:
    found = re.search(r"^summary: (\d+)$", dump.read_text(), re.M)
    if not found or found[1] == "0":
        sys.exit("callgrind did not see the work: the functions in curve.rs have other names?")
    return int(found[1])


def line(figure: str, points: list[dict]) -> tuple[int, float, int]:
    """What the small points say: the cost of the first, of each further unit, and its units."""
    small = sorted((p for p in points if p["role"] == "small"), key=lambda p: p["units"])
    first, last = small[0], small[-1]
    further = last["units"] - first["units"]
    each = max(0, last[figure] - first[figure]) / further if further else 0
    return first[figure], each, first["units"]


def judge(curve: dict, points: list[dict]) -> list[str]:
    if len(points) < len(curve["small"]):
        return [f"{curve['curve']} ({curve['title']}): even its small points take for ever"]
    failures = []
    if len(points) < len(curve["small"]) + len(curve["large"]):
        failures.append(
            f"{curve['curve']} ({curve['title']}): what comes after {points[-1]['x']:,} {curve['x']} "
            f"does not end within {PATIENCE} s"
        )
    for figure, least in FIGURES.items():
        first, each, units = line(figure, points)
        for point in points:
            allowed = TOLERANCE * (first + each * (point["units"] - units)) + least
            if point["role"] == "large" and point[figure] > allowed:
                failures.append(
                    f"{curve['curve']} ({curve['title']}): at {point['x']:,} {curve['x']} it costs "
                    f"{point[figure]:,} {figure}; by its small points {allowed:,.0f} are allowed "
                    f"({first:,} and {each:.4g} for each {curve['unit']}, and a quarter more)"
                )
    return failures


def show(curve: dict, points: list[dict]) -> None:
    """What a unit costs by the small points, and at the largest."""
    cells = []
    largest = max(points, key=lambda p: (p["units"], p["instructions"]))
    for figure in FIGURES:
        first, each, units = line(figure, points)
        further = largest["units"] - units
        if further:
            cells.append(f"{each:,.3f} → {(largest[figure] - first) / further:,.3f}")
        else:
            cells.append(f"{first:,} → {max(p[figure] for p in points):,}")
    print(f"{curve['curve']:26}{cells[0]:>25} {cells[1]:>15} {cells[2]:>19} {cells[3]:>21}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
