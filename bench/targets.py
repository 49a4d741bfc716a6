"""The table of targets: for each what was measured, ours beside the best of the others, and whether it is
met, or by how much not.
"""

import json
import tomllib
from pathlib import Path
from statistics import median

HEAD = "| work | target | ours | best of the others | verdict | measured by |\n|---|---|---:|---|---|---|"


def section(figures, targets: Path, kept: Path) -> str:
    wanted = tomllib.loads(targets.read_text())["target"]
    rows = [row(figures, target, kept) for target in wanted]
    missed = [target for target, line in zip(wanted, rows) if "**met**" not in line]
    head = f"## Targets\n\n{len(rows) - len(missed)} of {len(rows)} are met.\n\n{HEAD}\n"
    tried = [f"- **{target['work']}**: {target['tried']}" for target in missed if "tried" in target]
    more = ["", "What was tried where one is missed, and what is in the way:", "", *tried] if tried else []
    return head + "\n".join(rows + more)


def row(figures, target: dict, kept: Path) -> str:
    wanted, ours, others, verdicts = [], [], [], []
    we = target.get("we", figures.ours)
    for workload in target.get("workloads", []):
        mine = figures.cost(workload, we)
        if mine is None:
            ours.append("–")
            verdicts.append("not measured")
            continue
        ours.append(shown(mine, target))
        rivals = rivals_of(figures, target)
        best = figures.best(workload, rivals)
        if best:
            others.append(f"{shown(figures.cost(workload, best), target)} {figures.peers[best]['name']}")
        if limit := target.get("at_most"):
            verdicts.append(verdict(mine, limit))
        if limit := target.get("of_ceiling"):
            ratio = median(figures.ratios(workload, we, figures.ceiling) or [float("inf")])
            ours[-1] += f" ({ratio:.2f} × raw)"
            verdicts.append(verdict(ratio, limit))
        if "ahead_of" in target and best:
            ratio = median(figures.ratios(workload, we, best))
            verdicts.append(verdict(ratio, 1.0, NOISE))
    for source in target.get("kept", []):
        found = from_file(kept / source["file"], source, source["where"])
        ours.append("–" if found is None else shown(found, target))
        verdicts.append("not measured" if found is None else verdict(found, source["at_most"]))
        if beside := target.get("beside"):
            theirs = from_file(kept / source["file"], source, source["where"] | beside)
            if theirs is not None:
                others.append(f"{shown(theirs, target)} {' '.join(beside.values())}")
    if limit := target.get("at_most"):
        wanted.append(f"{'≥' if target.get('unit') == '1/s' else '≤'} {shown(limit, target)}")
    if limit := target.get("of_ceiling"):
        wanted.append(f"≤ {limit} × raw")
    if "ahead_of" in target:
        names = {"rust": "a Rust peer", "all": "anybody"}
        wanted.append("not behind " + ", ".join(names.get(one, one) for one in target["ahead_of"]))
    wanted += [f"≤ {shown(source['at_most'], target)}" for source in target.get("kept", [])]
    cells = [target["work"], "; ".join(wanted), "; ".join(ours), "; ".join(others) or "–", judged(verdicts),
             f"`{target.get('command', 'bench/run')}`"]
    return "| " + " | ".join(cells) + " |"


# Two runs of one and the same server differ by so much.
NOISE = 0.02


def rivals_of(figures, target: dict) -> list[str]:
    kinds = target.get("ahead_of", ["all"])
    return [
        key for key, peer in figures.peers.items()
        if not peer.get("ours") and not peer.get("ceiling") and not peer.get("bound")
        and ("all" in kinds or key in kinds or ("rust" in kinds and peer.get("rust")))
    ]


def verdict(value: float, limit: float, tolerance: float = 0.0) -> str:
    if value <= limit * (1 + tolerance):
        return "met"
    over = value / limit
    return f"{over:.1f} times too much" if over >= 2 else f"{100 * (over - 1):.0f} % too much"


def judged(verdicts: list[str]) -> str:
    if all(one == "met" for one in verdicts):
        return "**met**"
    return "; ".join(verdicts)


def shown(value: float, target: dict) -> str:
    unit = target.get("unit", "µs")
    if unit == "KiB":
        return f"{value / 1024:,.2f} KiB"
    if unit == "1/s":
        return f"{1e6 / value:,.0f}/s"
    digits = 0 if value >= 100 or unit == "instructions" else 2
    return f"{value:,.{digits}f}" + ("" if unit == "instructions" else f" {unit}")


def from_file(path: Path, source: dict, where: dict) -> float | None:
    """A figure that another command keeps as JSON lines."""
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if all(row.get(key) == value for key, value in where.items()):
            return row[source["figure"]]
    return None
