"""Plots as SVG, by hand: lines over logarithmic axes with the names beside their ends, and bars. Legible
on light and on dark pages.
"""

import math
from html import escape

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 46, 52

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #656d76; }
.ours { font-weight: 700; }
.grid { stroke: #d0d7de; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #8d96a0; }
  .grid { stroke: #30363d; }
}
</style>"""
# Each reads on white and on black; ours is the red one, the ceiling is grey.
OURS, CEILING = "#e5484d", "#8b949e"
COLOURS = [
    "#3e7bfa", "#12a594", "#d6830c", "#8e4ec6", "#46a758", "#d6409f", "#0da2c2", "#a18072",
    "#6e56cf", "#978300", "#5b8c5a", "#c2628f", "#4f7cac", "#b5651d", "#7d8597",
]


def lines(title: str, x_name: str, y_name: str, series: dict, *, x_format, y_format) -> str:
    """`series`: name → (colour, points); both axes logarithmic."""
    points = [point for _, line in series.values() for point in line]
    if not points:
        return ""
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    x_at = scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    low, high = min(ys) / 1.15, max(ys) * 1.15
    y_at = scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [text(WIDTH / 2 - RIGHT / 2 + LEFT / 2, HEIGHT - 12, x_name, "quiet", "middle"),
             text(LEFT - 8, TOP - 12, y_name, "quiet", "start")]
    for tick in ticks(low, high):
        parts.append(rule(LEFT, y_at(tick), WIDTH - RIGHT, y_at(tick)))
        parts.append(text(LEFT - 8, y_at(tick) + 4, y_format(tick), "quiet", "end"))
    last = -99.0
    for tick in xs:
        if x_at(tick) - last >= 44:
            last = x_at(tick)
            parts.append(text(last, HEIGHT - BOTTOM + 18, x_format(tick), "quiet", "middle"))
    ends = []
    for name, (colour, line) in series.items():
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in line)
        thick = 3 if colour == OURS else 1.6
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{thick}" '
                     f'stroke-linejoin="round"/>')
        parts += [dot(x_at(x), y_at(y), thick, colour) for x, y in line]
        ends.append((y_at(line[-1][1]), x_at(line[-1][0]), name, colour))
    for label, (y, x, name, colour) in zip(apart([end[0] for end in sorted(ends)]), sorted(ends)):
        at = WIDTH - RIGHT + 26
        parts.append(f'<polyline points="{x + 4:.1f},{y:.1f} {at - 4},{label:.1f}" fill="none" '
                     f'stroke="{colour}" stroke-width="0.8" opacity="0.7"/>')
        parts.append(text(at, label + 4, name, "ours" if colour == OURS else "", "start", colour))
    return page(title, parts, HEIGHT)


def bars(title: str, unit: str, rows: list[tuple[str, float, str]], *, value_format) -> str:
    """`rows`: name, value, colour; the smallest first."""
    if not rows:
        return ""
    gap, left, right = 26, 190, 90
    height = TOP + gap * len(rows) + 34
    widest = max(value for _, value, _ in rows)
    parts = []
    for index, (name, value, colour) in enumerate(rows):
        y = TOP + 4 + gap * index
        width = max(2.0, (WIDTH - left - right) * value / widest)
        mine = "ours" if colour == OURS else ""
        parts.append(text(left - 10, y + 14, name, mine, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="18" rx="3" fill="{colour}"/>')
        parts.append(text(left + width + 8, y + 14, value_format(value), mine, "start"))
    parts.append(text(left, height - 12, unit, "quiet", "start"))
    return page(title, parts, height)


def colours(keys: list[str], ours: set[str], ceiling: set[str]) -> dict[str, str]:
    """The same colour for the same peer in all plots."""
    others = [key for key in keys if key not in ours | ceiling]
    found = {key: COLOURS[index % len(COLOURS)] for index, key in enumerate(others)}
    return found | {key: OURS for key in ours} | {key: CEILING for key in ceiling}


def scale(low: float, high: float, start: float, end: float):
    span = math.log(high / low) or 1.0
    return lambda value: start + (end - start) * math.log(value / low) / span


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between: powers of ten, and some between if they are few."""
    span = high / low
    steps = (1, 2, 5) if span < 300 else (1, 3) if span < 3000 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**exponent for exponent in exponents for step in steps]
    return [tick for tick in found if low <= tick <= high]


def apart(heights: list[float], gap: float = 15.0) -> list[float]:
    """Heights of labels that do not cover each other, in order, within the plot."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    over = (placed[-1] if placed else 0) - (HEIGHT - BOTTOM + 10)
    if over > 0:
        placed[-1] -= over
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - gap)
    return placed


def text(x: float, y: float, words: str, kind: str, anchor: str, colour: str = "") -> str:
    style = f' style="fill:{colour}"' if colour else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def page(title: str, parts: list[str], height: float) -> str:
    body = "\n".join([STYLE, text(LEFT - 50, 20, title, "title", "start"), *parts])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'width="{WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>\n')
