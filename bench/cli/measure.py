"""Size, start and first message of `lastword` and of what it stands for, each a fresh process, A B C A B C; keeps the
figures in docs/benchmarks/cli.jsonl. Started by bench/cli/run."""

import argparse
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
import versions

LASTWORD = ROOT / "target/release/lastword"
FIGURES = ROOT / "docs/benchmarks/cli.jsonl"
# Longer than anybody takes who works.
PATIENCE = 30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    subjects = all_of_them(asked.cache)
    rows = [{"subject": "machine", "machine": versions.machine()}]
    with server() as plain, server("--tls") as tls:
        tasks = {
            "version": lambda subject: (subject["version"], None),
            "first message": lambda subject: (subject["connect"](plain), subject["says"]),
            "first message over TLS": lambda subject: (subject["connect"](tls), subject["says"]),
        }
        for task, command_of in tasks.items():
            doing = [one for one in subjects if task == "version" or "connect" in one]
            figures = {one["name"]: [] for one in doing}
            for _ in range(asked.rounds):
                for subject in doing:
                    command, says = command_of(subject)
                    figures[subject["name"]].append(to_its_end(command) if says is None else to_its_word(command, says))
            for name, pairs in figures.items():
                seconds, processor = (list(each) for each in zip(*pairs))
                rows.append({"subject": name, "task": task, "seconds": seconds, "processor": processor})
    for subject in subjects:
        rows.append({"subject": subject["name"], "task": "size", "bytes": subject["bytes"](), "with": subject["with"]})
    FIGURES.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))


def all_of_them(cache: Path) -> list[dict]:
    websocat, python = cache / "bin/websocat", cache / "venv/bin/python"
    wscat = cache / "node/node_modules/.bin/wscat"
    packages = next((cache / "venv/lib").glob("python*/site-packages/websockets"))
    insecure = lambda url, option: [option] if url.startswith("wss:") else []
    subjects = [
        {
            "name": f"lastword {said(LASTWORD, '--version')}",
            "version": [LASTWORD, "--version"],
            "connect": lambda url: [LASTWORD, "connect", url, "-m", "hi", "-n", "1", *insecure(url, "-k")],
            "says": "",
            "bytes": lambda: stripped(LASTWORD),
            "with": "",
        },
        {
            "name": f"websocat {said(websocat, '--version')}",
            "version": [websocat, "--version"],
            "connect": lambda url: [websocat, "-t", *insecure(url, "-k"), url],
            "says": "hi\n",
            "bytes": lambda: stripped(websocat),
            "with": "OpenSSL's library",
        },
        {
            "name": f"wscat {said(wscat, '--version')}",
            "version": [wscat, "--version"],
            "connect": lambda url: [wscat, "-c", url, "-x", "hi", "-w", "-1", *insecure(url, "-n")],
            "says": "",
            "bytes": lambda: weight(cache / "node/node_modules"),
            "with": f"Node.js {said('node', '--version')}, {os.path.getsize(real('node')) / 1e6:.0f} MB",
        },
        {
            "name": f"websockets {said(python, '-m', 'websockets', '--version')}",
            "version": [python, "-m", "websockets", "--version"],
            "connect": lambda url: [python, "-m", "websockets", *insecure(url, "--insecure"), url],
            "says": "hi\n",
            "bytes": lambda: weight(packages),
            "with": f"Python {said('python3', '--version')}",
        },
        {
            "name": f"curl {said('curl', '--version')}",
            "version": ["curl", "--version"],
            "bytes": lambda: os.path.getsize(real("curl")),
            "with": "libcurl and its libraries",
        },
        {"name": "true", "version": ["true"], "bytes": lambda: os.path.getsize(real("true")), "with": ""},
    ]
    return subjects


@contextlib.contextmanager
def server(*options):
    command = [LASTWORD, "serve", "--port", "0", "--report", "json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        scheme = "wss" if options else "ws"
        url = f"{scheme}://{json.loads(process.stdout.readline())['addr']}"
        # Its events are of no interest, but somebody has to read them.
        with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL) as reader:
            yield url
            process.kill()
            reader.wait()


def to_its_end(command: list) -> tuple[float, float]:
    """How long it ran, and how much of that on a processor."""
    files = [(os.POSIX_SPAWN_OPEN, at, os.devnull, os.O_RDWR, 0) for at in range(3)]
    start = time.perf_counter()
    pid = os.posix_spawnp(str(command[0]), [str(part) for part in command], os.environ, file_actions=files)
    _, status, usage = os.wait4(pid, 0)
    took = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command} failed")
    return took, usage.ru_utime + usage.ru_stime


def to_its_word(command: list, says: str) -> tuple[float, float]:
    """How long it was until it had shown the answer, and how much of a processor it needed to its end."""
    start = time.perf_counter()
    # Unlike `run`, this does not wait for an end that some put off.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.write(process.stdin.fileno(), says.encode())
    seen = b""
    while not re.search(rb"(^|< )hi", seen, re.MULTILINE):
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            raise SystemExit(f"{command} did not answer: {seen}")
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        if not chunk:
            raise SystemExit(f"{command} ended: {seen}")
        seen += chunk
    took = time.perf_counter() - start
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return took, usage.ru_utime + usage.ru_stime


def said(*command) -> str:
    """The version in the first line that has one."""
    found = re.search(r"\d+(\.\d+)+", versions.said(*map(str, command)))
    return found[0] if found else "?"


def real(program: str) -> Path:
    return Path(shutil.which(program)).resolve()


def stripped(program: Path) -> int:
    """As a package would have it."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-s", "-o", copy.name, program], check=True)
        return os.path.getsize(copy.name)


def weight(folder: Path) -> int:
    return sum(os.path.getsize(path) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


if __name__ == "__main__":
    main()
