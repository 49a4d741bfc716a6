"""What `lastword serve`, on one thread, costs for each echoed message, in counts: user instructions
and allocations (callgrind), bytes allocated (DHAT), and system calls (strace).

What starting, opening and closing cost is taken out: two runs of different length, and their
difference. The load holds the server while it writes, so that each run sees the same batches; runs
differ by less than a tenth of a per cent. limits.toml says what may not be exceeded.
"""

import argparse
import json
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
LIMITS = HERE / "limits.toml"

# Name, arguments of the load, and the two lengths in rounds. No run may take ten seconds under
# valgrind: a server that asks for a sign of life would spoil the figure.
WORKLOADS = [
    ("128 B binary, 64x16", "--size 128 --connections 64 --in-flight 16", 10, 30),
    ("16 B binary, 16x64", "--size 16 --connections 16 --in-flight 64", 10, 30),
    ("128 B text, 64x16", "--size 128 --connections 64 --in-flight 16 --text", 10, 30),
    ("128 B binary, 64x1", "--size 128 --connections 64 --in-flight 1", 10, 60),
    ("16 KiB binary, 32x4", "--size 16384 --connections 32 --in-flight 4", 5, 15),
    ("1 MiB binary, 4x2", "--size 1048576 --connections 4 --in-flight 2", 3, 9),
    ("1 KiB compressed, 16x4", "--size 1024 --connections 16 --in-flight 4 --text --compressed", 16, 48),
    ("4 KiB in 16 fragments, 16x4", "--size 4096 --connections 16 --in-flight 4 --fragments 16", 10, 30),
    ("opening and close of a browser", "--connections 16 --handshakes", 4, 16),
]
KINDS = {
    "recvfrom": "recv", "recvmsg": "recv", "readv": "recv",
    "sendto": "send", "sendmsg": "send", "writev": "send",
    "epoll_wait": "epoll", "epoll_pwait": "epoll", "epoll_pwait2": "epoll",
}
ALLOCATORS = {
    prefix + name
    for prefix in ("", "__libc_", "__")
    for name in ("malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign")
}
# What is compared with limits.toml, and by how much it may exceed its limit beside 3 %.
FIGURES = {"instructions": 0.0, "allocations": 0.02, "syscalls": 0.02}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/count/run")
    parser.add_argument("cache", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="make today's figures the limits")
    parser.add_argument("--only", default="", metavar="WORD", help="workloads with this in their name")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write figures as JSON lines")
    args = parser.parse_args()
    bench = Bench(args.cache)
    ours = ["target/profiling/lastword", "serve", "--threads", "1", "--port"]
    theirs = [str(args.cache / "target/release/tokio-websockets-echo")]

    print(f"{'per message':32}{'instructions':>14}{'allocations':>13}{'bytes':>10}"
          f"{'syscalls':>10}{'recv':>8}{'send':>8}{'epoll':>8}{'other':>8}")
    workloads = [workload for workload in WORKLOADS if args.only in workload[0]]
    rows = {}
    for workload in workloads:
        rows[workload[0]] = bench.row(ours, *workload)
        show(workload[0], rows[workload[0]])
    first = WORKLOADS[0]
    peer = None
    if first in workloads:
        peer = bench.row(theirs, *first)
        show("  tokio-websockets, the first", peer)
    if args.json:
        lines = [json.dumps({"workload": name} | row) for name, row in rows.items()]
        args.json.write_text("\n".join(lines) + "\n")
    if args.write:
        write(rows)
        return 0
    failures = compare(rows)
    if peer and rows[first[0]]["instructions"] > peer["instructions"]:
        failures.append(f"{first[0]}: lastword needs more instructions than tokio-websockets")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


class Bench:
    """Runs a server under a tool, with the load in front of it."""

    def __init__(self, cache: Path):
        self.cache = cache
        self.load = cache / "target/release/load"

    def row(self, server, name, load, short, long) -> dict:
        """Each figure for one message."""
        few, many = (self.totals(server, f"{load} --rounds {rounds}") for rounds in (short, long))
        messages = many.pop("messages") - few.pop("messages")
        row = {figure: (many[figure] - few[figure]) / messages for figure in many}
        return {figure: round(value) if value >= 1000 else round(value, 3) for figure, value in row.items()}

    def totals(self, server, load) -> Counter:
        totals = Counter()
        out = self.cache / "callgrind.out"
        messages = self.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"], server, load)
        totals |= read_callgrind(out)
        out = self.cache / "dhat.out"
        self.run(["valgrind", "--tool=dhat", f"--dhat-out-file={out}"], server, load)
        totals["bytes"] = sum(point["tb"] for point in json.loads(out.read_text())["pps"])
        out = self.cache / "strace.out"
        out.unlink(missing_ok=True)
        # -D: the server is our child, and strace watches from behind.
        self.run(["strace", "-D", "-f", "-q", "-e", "signal=none", "-o", str(out)], server, load)
        totals |= read_strace(out)
        totals["messages"] = messages
        return totals

    def run(self, tool, server, load, *mode) -> int:
        """How many messages were carried."""
        log = self.cache / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with log.open("w") as said:
            process = subprocess.Popen([*tool, *server, str(port), *mode], stdout=said, stderr=said)
        try:
            command = [self.load, "--port", str(port), "--server", str(process.pid), *load.split()]
            carried = subprocess.run(command, capture_output=True, text=True, timeout=120)
            process.terminate()
            process.wait(30)
        finally:
            process.kill()
        if carried.returncode != 0:
            tail = log.read_text()[-500:]
            sys.exit(f"{server[0]} did not carry {load}: {carried.stderr}\nit said: {tail}")
        return int(carried.stdout)


def read_callgrind(path: Path) -> Counter:
    """Instructions, and calls of allocators that do not come from one."""
    totals, names, caller, callee = Counter(), {}, "", ""
    for line in path.read_text().splitlines():
        if match := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line):
            kind, number, name = match.groups()
            name = names.setdefault(number, (name or "").split("'")[0].split("@")[0])
            if kind == "fn":
                caller = name
            else:
                callee = name
        elif line.startswith("calls=") and callee in ALLOCATORS and caller not in ALLOCATORS:
            totals["allocations"] += int(line.split()[0].removeprefix("calls="))
        elif line.startswith("summary: "):
            totals["instructions"] = int(line.split()[1])
    return totals


def read_strace(path: Path) -> Counter:
    """System calls by kind, without those that the load itself interrupted."""
    for _ in range(1000):
        if path.exists() and "+++ exited" in path.read_text()[-200:]:
            break
        time.sleep(0.01)
    else:
        sys.exit("strace did not tell of the server's end")
    totals = Counter({kind: 0 for kind in ["syscalls", *KINDS.values(), "other"]})
    for line in path.read_text().splitlines():
        if "EINTR" in line or "ERESTART" in line or "restart_syscall" in line:
            continue
        if match := re.match(r"\d+ +(\w+)\(", line):
            totals["syscalls"] += 1
            totals[KINDS.get(match[1], "other")] += 1
    return totals


def show(name: str, row: dict) -> None:
    figures = [row[figure] for figure in ("instructions", "allocations", "bytes")]
    calls = [row[figure] for figure in ("syscalls", "recv", "send", "epoll", "other")]
    print(f"{name:32}{figures[0]:14,.0f}{figures[1]:13.3f}{figures[2]:10,.0f}{calls[0]:10.3f}"
          + "".join(f"{call:8.3f}" for call in calls[1:]), flush=True)


def compare(rows: dict) -> list[str]:
    """What is worse than limits.toml allows; prints what could be tightened."""
    limits = tomllib.loads(LIMITS.read_text())
    failures = []
    for name, row in rows.items():
        if name not in limits:
            failures.append(f"{name}: no limit in {LIMITS}; `bench/count/run --write` adds it")
            continue
        for figure, tolerance in FIGURES.items():
            limit, now = limits[name][figure], row[figure]
            slack = 0.03 * limit + tolerance
            percent = 100 * (now - limit) / limit if limit else float("inf")
            if now > limit + slack:
                failures.append(
                    f"{name}: {now} {figure} per message, the limit is {limit} ({percent:+.1f} %). "
                    f"Make it cheaper, or raise the limit in bench/count/limits.toml in the same "
                    f"commit, with the reason in the line above it (--write fills in the figures)."
                )
            elif now < limit - slack:
                print(f"{name}: {now} {figure} per message, the limit is {limit} "
                      f"({percent:+.1f} %): tighten it, `bench/count/run --write`")
    return failures


def write(rows: dict) -> None:
    """Puts figures into their lines; comments stay, for they say why."""
    lines = LIMITS.read_text().splitlines() if LIMITS.exists() else []
    for name, row in rows.items():
        figures = ", ".join(f"{figure} = {row[figure]}" for figure in FIGURES)
        new = f'"{name}" = {{ {figures} }}'
        at = [index for index, line in enumerate(lines) if line.startswith(f'"{name}" =')]
        if at:
            lines[at[0]] = new
        else:
            lines.append(new)
    LIMITS.write_text("\n".join(lines) + "\n")
    print(f"{LIMITS} is written: say in it why")


if __name__ == "__main__":
    sys.exit(main())
