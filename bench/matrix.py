"""Runs the matrix of matrix.toml: each workload against each server, A B C A B C, the server pinned to
one core and the load to another, a fresh process each time. What came out is kept as JSON lines, one for
each pair of workload and peer; a new figure takes the place of the old one. report.py makes the page.
"""

import argparse
import datetime
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE / "count")]
import count as counting  # noqa: E402
import report  # noqa: E402
import versions  # noqa: E402

# Seconds of a measurement; and minutes for all of it, within which rounds are given up before rows.
FULL = {"rounds": 3, "seconds": 0.8, "warm_up": 0.25, "minutes": 44}
QUICK = {"rounds": 2, "seconds": 0.4, "warm_up": 0.2, "minutes": 4.4}
SMOKE = {"rounds": 1, "seconds": 0.1, "warm_up": 0.1, "minutes": 1}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--cache", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="some workloads, shorter: five minutes")
    parser.add_argument("--smoke", action="store_true", help="ours and raw only, to see that it works")
    parser.add_argument("--only", default="", metavar="WORDS",
                        help="workloads with one of these, divided by commas, in key or group")
    parser.add_argument("--peers", default="", metavar="KEYS", help="these peers, divided by commas")
    parser.add_argument("--rounds", type=int, help="how often each pair is measured")
    parser.add_argument("--results", type=Path, default=HERE.parent / "docs/benchmarks/results.jsonl")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmarks.md")
    args = parser.parse_args()
    matrix = tomllib.loads((HERE / "matrix.toml").read_text())
    pace = SMOKE if args.smoke else QUICK if args.quick else FULL
    if args.smoke:
        args.results, args.page = args.cache / "smoke/results.jsonl", args.cache / "smoke/benchmarks.md"
        args.results.unlink(missing_ok=True)

    bench = Bench(args.cache, pace, args.rounds, matrix)
    peers = [peer for peer in matrix["peer"] if chosen(peer, args) and bench.has(peer)]
    workloads = [
        workload for workload in matrix["workload"]
        if (workload.get("quick") or not (args.quick or args.smoke)) and wanted(workload, args.only)
    ]
    results = Results(args.results)
    results.machine(versions.machine(), versions.of(peers, args.cache))
    start, failed = time.monotonic(), 0
    for number, workload in enumerate(workloads, 1):
        spent = time.monotonic() - start
        print(f"[{spent:5.0f} s] {number}/{len(workloads)} {workload['key']}", flush=True)
        share = (60 * pace["minutes"] - spent) / (len(workloads) + 1 - number)
        rows = bench.interleaved(workload, peers, results, share)
        for peer, runs in rows.items():
            results.put(workload["key"], peer, runs)
            failed += any("error" in run for run in runs)
        results.write()
    report.write(matrix, args.results, args.page)
    print(f"{args.page} is written, after {time.monotonic() - start:.0f} s; {failed} rows failed")
    return 1 if args.smoke and failed else 0


def chosen(peer: dict, args) -> bool:
    if args.smoke:
        return peer["key"] in ("raw", "lastword")
    return not args.peers or peer["key"] in args.peers.split(",")


def wanted(workload: dict, only: str) -> bool:
    return any(word in workload["key"] or word in workload["group"] for word in only.split(","))


class Bench:
    """Runs one server with the load in front of it."""

    def __init__(self, cache: Path, pace: dict, rounds: int | None, matrix: dict):
        self.cache, self.pace, self.rounds, self.matrix = cache, pace, rounds, matrix
        self.places = {"target": cache / "target/release", "cache": cache, "here": HERE}
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.load_core = cores[0], cores[-1]

    def has(self, peer: dict) -> bool:
        """Whether it could be built: what is missing is said, and left out."""
        needs = peer.get("needs", "").format(**self.places) or self.command(peer)[0]
        if not Path(needs).exists():
            print(f"{peer['key']}: {needs} is not there; left out", file=sys.stderr)
        return Path(needs).exists()

    def command(self, peer: dict) -> list[str]:
        return shlex.split(peer["command"].format(**self.places))

    def interleaved(self, workload: dict, peers: list[dict], results, seconds: float) -> dict:
        """Each peer's runs, a round of all peers after the other, as many as there is time for."""
        able = [peer for peer in peers if suits(workload, peer)]
        rows = {peer["key"]: [] for peer in able}
        start = time.monotonic()
        for done in range(self.rounds or min(self.pace["rounds"], workload.get("rounds", 99))):
            if done and (time.monotonic() - start) * (done + 1) / done > seconds:
                break
            for peer in able:
                rows[peer["key"]].append(self.run(workload, peer, results))
        return rows

    def run(self, workload: dict, peer: dict, results) -> dict:
        if workload["mode"] == "count":
            return self.count(workload, peer)
        port = free_port()
        log = self.cache / "server.log"
        load = workload["load"]
        if self.pace is not FULL:
            load = workload.get("quick_load", load)
        if "{rate}" in load:
            load = load.format(rate=results.rate(self))
        with log.open("w") as said:
            server = subprocess.Popen(
                [*self.command(peer), str(port), workload["mode"]], stdout=said, stderr=said,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.server_core}),
            )
        try:
            options = [
                f"--port={port}", f"--server={server.pid}",
                f"--warm-up={max(self.pace['warm_up'], peer.get('warm_up', 0))}",
                f"--seconds={workload.get('seconds', 1) * self.pace['seconds']}",
            ]
            if peer.get("ceiling"):
                options.append("--raw")
            done = subprocess.run(
                [*self.load(workload), *options, *shlex.split(load)],
                capture_output=True, text=True, timeout=90,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.load_core}),
            )
            if done.returncode == 0:
                return json.loads(done.stdout)
            lines = [line for line in done.stderr.splitlines() if not line.startswith(("thread", "note"))]
            error = next(filter(None, lines), "no word")
        except subprocess.TimeoutExpired:
            error = "took longer than 90 s"
        finally:
            server.kill()
            server.wait()
        print(f"  {peer['key']} failed at {workload['key']}: {error}; it said: {log.read_text()[-300:]}",
              file=sys.stderr)
        return {"error": error}


    def load(self, workload: dict) -> list:
        if workload["mode"] == "tls":
            return [sys.executable, HERE / "others/hold_tls.py"]
        return [self.places["target"] / "lastword-load"]

    def count(self, workload: dict, peer: dict) -> dict:
        """Instructions for a message: two runs of different length, and their difference."""
        bench, out = counting.Bench(self.cache), self.cache / "callgrind.out"
        # Without the one instruction that copies a block, which valgrind counts for each byte.
        tunables = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM"
        tool = ["env", tunables, "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        totals = []
        try:
            for rounds in workload["count"].split():
                messages = bench.run(tool, self.command(peer), f"{workload['load']} --rounds {rounds}", "echo")
                totals.append((messages, counting.read_callgrind(out)["instructions"]))
        except (SystemExit, subprocess.TimeoutExpired) as error:
            # What it said names paths of this machine: it goes to the terminal, not to the page.
            print(f"  {peer['key']} failed at {workload['key']}: {error}", file=sys.stderr)
            return {"error": "it did not carry the load of the count"}
        (few, less), (many, more) = totals
        return {"instructions": round((more - less) / (many - few))}


def suits(workload: dict, peer: dict) -> bool:
    if workload["group"] in peer.get("lacks", []) or peer["key"] not in workload.get("peers", [peer["key"]]):
        return False
    if workload["mode"] == "count":
        return peer.get("countable", False)
    return workload["mode"] in peer["modes"] and workload.get("ceiling", True) >= peer.get("ceiling", False)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Results:
    """Figures by workload and peer, and what machine they are from."""

    def __init__(self, path: Path):
        self.path, self.rows = path, {}
        self.run = datetime.datetime.now().isoformat(timespec="seconds")
        if path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.rows[row["workload"], row["peer"]] = row

    def put(self, workload: str, peer: str, runs: list[dict]) -> None:
        commit = self.rows["machine", ""]["machine"]["commit"]
        row = {"workload": workload, "peer": peer, "run": self.run, "commit": commit, "runs": runs}
        self.rows[workload, peer] = row

    def machine(self, machine: dict, versions: dict) -> None:
        old = self.rows.get(("machine", ""), {"versions": {}})
        self.rows["machine", ""] = {
            "workload": "machine", "peer": "", "machine": machine, "versions": old["versions"] | versions,
        }

    def rate(self, bench) -> int:
        """Half of what the ceiling carries with as many connections, messages in a second."""
        workload = next(one for one in bench.matrix["workload"] if one["key"] == "128x200x1")
        raw = next(peer for peer in bench.matrix["peer"] if peer.get("ceiling"))
        if (workload["key"], raw["key"]) not in self.rows:
            self.put(workload["key"], raw["key"], [bench.run(workload, raw, self)])
        runs = self.rows[workload["key"], raw["key"]]["runs"]
        return round(max(run["messages"] / run["seconds"] for run in runs) / 2)

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(rounded(row)) + "\n" for row in self.rows.values()))


def rounded(value):
    """Six digits are more than any clock here is good for."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
