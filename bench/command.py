"""The section on the command line: size, start and first message, from the figures that bench/cli/run kept."""

import json
from pathlib import Path
from statistics import median

TASKS = {
    "version": "`--version`",
    "first message": "first message",
    "first message over TLS": "first message, TLS",
}


def section(kept: Path) -> str:
    if not kept.exists():
        return ""
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    machine = next(row["machine"] for row in rows if row["subject"] == "machine")
    sizes = {row["subject"]: row for row in rows if row.get("task") == "size"}
    times = {(row["subject"], row["task"]): row for row in rows if "seconds" in row}
    lines = [
        "| | size | beside it | " + " | ".join(f"{name}, ms | processor" for name in TASKS.values()) + " |",
        "|---|---:|---|" + "---:|---:|" * len(TASKS),
    ]
    for subject, size in sizes.items():
        cells = []
        for task in TASKS:
            row = times.get((subject, task))
            cells += [spread(row["seconds"]), milliseconds(median(row["processor"]))] if row else ["–", "–"]
        name = f"**{subject}**" if subject.startswith("lastword ") else subject
        lines.append(f"| {name} | {mega(size['bytes'])} | {size['with'] or '–'} | " + " | ".join(cells) + " |")
    return f"""## The command

Made by `bench/cli/run`, on the machine above, Lastword at {machine['commit']}. Each is a fresh process, A B C A B C, with
warm caches. The time goes from the start of the process to its end (`--version`), or until the answer to one message
from an echo server on the same machine is on its standard output; the least and the median. The processor's time is the
process's own, user and kernel, from its start to its end; `true` is what starting a process costs at all. Certificates
are not verified here. Sizes are without symbols; of wscat and websockets it is what their packages hold.

{chr(10).join(lines)}"""


def spread(seconds: list[float]) -> str:
    return f"{milliseconds(min(seconds))} / {milliseconds(median(seconds))}"


def milliseconds(seconds: float) -> str:
    shown = seconds * 1e3
    return f"{shown:.0f}" if shown >= 100 else f"{shown:.1f}"


def mega(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
