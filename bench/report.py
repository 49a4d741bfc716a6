"""Makes docs/benchmarks.md and its plots from the figures that matrix.py kept. Measures nothing."""

import json
import tomllib
from pathlib import Path
from statistics import median

import command
import plot
import targets

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


def main() -> None:
    matrix = tomllib.loads((HERE / "matrix.toml").read_text())
    write(matrix, DOCS / "benchmarks/results.jsonl", DOCS / "benchmarks.md")


def write(matrix: dict, results: Path, page: Path) -> None:
    figures = Figures(matrix, results)
    plots = page.parent / page.stem
    plots.mkdir(parents=True, exist_ok=True)
    parts = [introduction(figures), targets.section(figures, HERE / "targets.toml", DOCS / "benchmarks")]
    for section in matrix["section"]:
        body = SECTIONS[section["kind"]](figures, section, plots)
        if body:
            words = [f"## {section['title']}", section["text"].strip(), body.strip()]
            parts.append("\n\n".join(filter(None, words)))
    parts += [command.section(DOCS / "benchmarks/cli.jsonl"), absent(matrix)]
    page.write_text("\n\n".join(part.strip() for part in parts if part) + "\n")


class Figures:
    """What was measured. All figures are costs: less is better."""

    def __init__(self, matrix: dict, path: Path):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        rows = {(row["workload"], row["peer"]): row for row in lines}
        self.machine = rows.pop(("machine", ""), None)
        self.runs = {key: row["runs"] for key, row in rows.items()}
        self.run_of = {key: row["run"] for key, row in rows.items()}
        self.commits = sorted({row["commit"] for row in rows.values()})
        self.peers = {peer["key"]: peer for peer in matrix["peer"]}
        self.workloads = {workload["key"]: workload for workload in matrix["workload"]}
        self.ceiling = next(key for key, peer in self.peers.items() if peer.get("ceiling"))
        self.ours = next(key for key, peer in self.peers.items() if peer.get("ours"))
        ours = {key for key, peer in self.peers.items() if peer.get("ours")}
        bounds = {key for key, peer in self.peers.items() if peer.get("bound")}
        self.colours = plot.colours(list(self.peers), ours, {self.ceiling} | bounds)

    def of(self, workload: str, peer: str) -> list[dict]:
        """The runs that ended well."""
        runs = self.runs.get((workload, peer), [])
        return [run for run in runs if "error" not in run and run.get("kept_up", True)]

    def costs(self, workload: str, peer: str) -> list[float]:
        """What the workload asks for, of each run."""
        return [measured(run, self.workloads[workload].get("figure")) for run in self.of(workload, peer)]

    def cost(self, workload: str, peer: str) -> float | None:
        costs = self.costs(workload, peer)
        return median(costs) if costs else None

    def ratios(self, workload: str, peer: str, base: str) -> list[float]:
        """Round by round, if both were measured side by side; else that of the medians."""
        mine, others = self.costs(workload, peer), self.costs(workload, base)
        if self.run_of.get((workload, peer)) != self.run_of.get((workload, base)):
            mine, others = [median(mine or [0])], [median(others or [0])]
        return sorted(one / other for one, other in zip(mine, others) if other)

    def measured_in(self, group: str) -> list[dict]:
        """Workloads of a group that have figures."""
        keys = {workload for workload, _ in self.runs}
        return [one for one in self.workloads.values() if one["group"] == group and one["key"] in keys]

    def best(self, workload: str, keys) -> str | None:
        costs = {key: self.cost(workload, key) for key in keys}
        known = {key: cost for key, cost in costs.items() if cost is not None}
        return min(known, key=known.__getitem__) if known else None


def measured(run: dict, figure: str | None) -> float:
    """Microseconds of the server's processor for a message, or what `figure` names."""
    if figure is None:
        return run["server"] / run["messages"] * 1e6
    if figure == "idle":
        return run["idle"][-1][1]
    if figure == "byte":
        return run["server"] / run["messages"] * 1e9
    return run[figure]


def introduction(figures: Figures) -> str:
    machine = figures.machine["machine"]
    versions = ", ".join(
        f"{figures.peers[key]['name']} {version}" for key, version in figures.machine["versions"].items()
        if version and key in figures.peers
    )
    commits = ", ".join(figures.commits)
    return f"""# Benchmarks

Made by `bench/run` (`--quick`: five minutes); do not edit. Servers run side by side in one run, A B C A B
C, each a fresh process on one core, with the load on another. The load checks every byte that comes back.
**The figure is processor time of the server's process, user and kernel, for a message**: it survives a noisy
machine. Ratios are taken round by round and given with their spread (without one, they are of one round, or
of two runs of this command). ° marks where the server was not the
bottleneck: the load needed more processor time than it.

{machine['processor']}, {machine['cores']} cores, {machine['memory']}, Linux {machine['kernel']}, rustc
{machine['rustc']}; Lastword at {commits}. {versions}.
All listen on one thread, with TCP_NODELAY; each as its documentation shows it; limits raised so that large
messages pass; compression only where it is the subject."""


def table(figures: Figures, section: dict, plots: Path) -> str:
    """Costs by peer and workload, with ratios to the ceiling or to ours; then the wall clock."""
    workloads = figures.measured_in(section["group"])
    if not workloads:
        return ""
    has_ceiling = any(figures.of(one["key"], figures.ceiling) for one in workloads)
    base = figures.ceiling if has_ceiling and section["kind"] != "memory" else section.get("base", figures.ours)
    form = FORMATS[section.get("unit", "µs")]
    rust = [key for key, peer in figures.peers.items() if peer.get("rust")]
    best = {one["key"]: figures.best(one["key"], rust) for one in workloads}

    def cell(workload: str, peer: str) -> str:
        cost = figures.cost(workload, peer)
        if cost is None:
            return failure(figures, workload, peer)
        shown = f"**{form(cost)}**" if best[workload] == peer else form(cost)
        ratios = figures.ratios(workload, peer, base)
        if peer == base or not ratios:
            return shown
        return f"{shown}<br>{spread(ratios)}"

    def clock(workload: str, peer: str) -> str:
        runs = figures.of(workload, peer)
        if not runs:
            return "–"
        speed = median(run["messages"] / run["seconds"] for run in runs)
        waited = median(run["load"] / run["server"] for run in runs) > 1
        return f"{speed:,.0f}{'°' if waited else ''}"

    ratio_to = "raw epoll" if base == figures.ceiling else "ours"
    text = grid(figures, workloads, f"{section.get('unit', 'µs')}, × {ratio_to}", cell)
    if section.get("clock", True):
        name = section.get("clock_name", "Messages in a second on the clock")
        inner = grid(figures, workloads, "1/s", clock)
        text += f"\n\n<details><summary>{name}</summary>\n\n{inner}\n\n</details>"
    if name := section.get("plot"):
        rows = [
            (peer["name"], figures.cost(section["plotted"], key), figures.colours[key])
            for key, peer in figures.peers.items() if figures.cost(section["plotted"], key) is not None
        ]
        rows.sort(key=lambda row: row[1])
        svg = plot.bars(section["plot_title"], section["plot_unit"], rows, value_format=form)
        text += keep(svg, plots, name)
    return text


def spread(ratios: list[float]) -> str:
    shown = f"{median(ratios):,.2f}"
    return shown if len(ratios) == 1 else f"{shown} ({ratios[0]:,.2f}–{ratios[-1]:,.2f})"


def failure(figures: Figures, workload: str, peer: str) -> str:
    runs = figures.runs.get((workload, peer), [])
    if any(not run.get("kept_up", True) for run in runs):
        return "did not keep up"
    return "failed" if runs else "–"


def grid(figures: Figures, workloads: list[dict], corner: str, cell) -> str:
    """A row for each peer that has any figure."""
    lines = [
        f"| {corner} | " + " | ".join(one["name"] for one in workloads) + " |",
        "|---|" + "---:|" * len(workloads),
    ]
    for key, peer in figures.peers.items():
        if any((one["key"], key) in figures.runs for one in workloads):
            name = f"**{peer['name']}**" if peer.get("ours") else peer["name"]
            lines.append(f"| {name} | " + " | ".join(cell(one["key"], key) for one in workloads) + " |")
    return "\n".join(lines)


def over_sizes(figures: Figures, section: dict, plots: Path) -> str:
    """Lines over what the workloads vary."""
    workloads = figures.measured_in(section["group"])
    text = ""
    for name, title, unit, figure in [
        (section["plot"], section["plot_title"], section["unit"], None),
        (section.get("plot_2"), section.get("plot_2_title"), "MB/s", "throughput"),
    ]:
        if not name:
            continue
        series = {}
        for key, peer in figures.peers.items():
            line = []
            for one in workloads:
                if runs := figures.of(one["key"], key):
                    divisor = one["at"] if section.get("per_byte") else 1
                    cost = median(measured(run, one.get("figure")) for run in runs) / divisor
                    speed = median(run["messages"] / run["seconds"] for run in runs) * one["at"] / 1e6
                    line.append((one["at"], speed if figure else cost))
            if line:
                series[peer["name"]] = (figures.colours[key], line)
        x_format = size if section.get("sizes", True) else "{:,}".format
        svg = plot.lines(title, section["x_name"], unit, series, x_format=x_format, y_format=number)
        text += keep(svg, plots, name)
    if section.get("table", True):
        text += "\n\n" + table(figures, section | {"plot": None}, plots)
    return text


def latency(figures: Figures, section: dict, plots: Path) -> str:
    workloads = figures.measured_in(section["group"])
    if not workloads:
        return ""
    workload = workloads[-1]["key"]
    names = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "p9999": "p99.99", "max": "max"}
    lines = [
        "| µs | " + " | ".join(names.values()) + " | p99.9, × raw | server's core |",
        "|---|" + "---:|" * 8,
    ]
    series = {}
    for key, peer in figures.peers.items():
        runs = figures.of(workload, key)
        name = f"**{peer['name']}**" if peer.get("ours") else peer["name"]
        if not runs:
            if (workload, key) in figures.runs:
                lines.append(f"| {name} | {failure(figures, workload, key)} |" + " |" * 7)
            continue
        values = [median(run[one] for run in runs) for one in names]
        ratios = figures.ratios(workload, key, figures.ceiling) or [1.0]
        busy = median(run["server"] / run["seconds"] for run in runs)
        lines.append(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in values)
                     + f" | {spread(ratios)} | {busy:.0%} |")
        series[peer["name"]] = (figures.colours[key], list(zip([2, 10, 100, 1000, 10000], values)))
    rate = next((run["rate"] for (one, _), runs in figures.runs.items() if one == workload
                 for run in runs if "rate" in run), 0)
    shares = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10000: "99.99 %"}
    svg = plot.lines(section["plot_title"], "share of messages that were not later", "µs", series,
                     x_format=shares.__getitem__, y_format=number)
    return f"At {rate:,.0f} messages a second.\n\n" + "\n".join(lines) + keep(svg, plots, section["plot"])


def memory(figures: Figures, section: dict, plots: Path) -> str:
    text = table(figures, section | {"clock": False, "plot": None}, plots)
    if not text:
        return ""
    series = {}
    for key, peer in figures.peers.items():
        runs = figures.of(section["plotted"], key)
        if runs:
            steps = zip(*(run["idle"] for run in runs))
            line = [(step[0][0], max(1, median(one[1] for one in step)) / 1024) for step in steps]
            series[peer["name"]] = (figures.colours[key], line)
    svg = plot.lines(section["plot_title"], "connections", "KiB for each", series,
                     x_format="{:,}".format, y_format=number)
    return text + keep(svg, plots, section["plot"])


def absent(matrix: dict) -> str:
    lines = [f"- {entry['name']}: {entry['why']}" for entry in matrix.get("absent", [])]
    return "## Who is not here\n\n" + "\n".join(lines) if lines else ""


def keep(svg: str, plots: Path, name: str) -> str:
    if not svg:
        return ""
    (plots / f"{name}.svg").write_text(svg)
    return f"\n\n![{name.replace('-', ' ')}]({plots.name}/{name}.svg)"


def size(value: float) -> str:
    for unit, name in ((2**20, " MiB"), (2**10, " KiB")):
        if value >= unit:
            return f"{value / unit:.0f}{name}"
    return f"{value:.0f} B" if value < 1000 else f"{value:,.0f}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def kibibytes(value: float) -> str:
    return f"{value / 1024:,.2f}" if value < 10240 else f"{value / 1024:,.0f}"


def three(value: float) -> str:
    """Three digits."""
    digits = next((digits for digits, least in ((0, 100), (1, 10), (2, 1)) if value >= least), 3)
    return f"{value:,.{digits}f}"


FORMATS = {"µs": three, "KiB": kibibytes, "instructions": lambda value: f"{value:,.0f}", "ns": three}
SECTIONS = {"table": table, "over": over_sizes, "latency": latency, "memory": memory}

if __name__ == "__main__":
    main()
