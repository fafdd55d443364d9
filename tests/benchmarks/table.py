"""The table of all rows, for people."""

from __future__ import annotations

from rich import box
from rich.table import Table

from tests.benchmarks.results import CPU, Results, Row, Spread

NONE = "·"
UNITS = {
    "per_second": "/s",
    "p50_ms": " ms",
    "p99_ms": " ms",
    "cpu_us": " µs",
    "percent": " %",
    "bytes": " B",
    "megabytes": " MB",
}


def number(value: float) -> str:
    """Three digits or a little more: the rest is noise."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(found: Spread | None, unit: str = "") -> str:
    """`median unit (least to most)`; the bracket only where there are several samples."""
    if found is None:
        return NONE
    told = number(found.median) + unit
    if found.least == found.most:
        return told
    return f"{told} ({number(found.least)} to {number(found.most)})"


def _median(row: Row, metric: str) -> str:
    found = row.spread(metric)
    return NONE if found is None else number(found.median)


def table(results: Results, machine: dict[str, str]) -> Table:
    """One line a row; a rule between cases."""
    caption = ", ".join(f"{name} {value}" for name, value in machine.items())
    shown = Table(
        box=box.SIMPLE_HEAD,
        caption=f"Median (least to most) over the rounds. {caption}",
        caption_justify="left",
    )
    for title in ("part", "case", "who"):
        shown.add_column(title, no_wrap=True)
    for title in ("measured", "ratio", "p50 ms", "p99 ms", "ratio of p99"):
        shown.add_column(title, justify="right", no_wrap=True)
    for title in ("own", "Valkey", "database", "all", "ratio of all"):
        shown.add_column(f"CPU µs\n{title}", justify="right", no_wrap=True)
    rows = results.rows()
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = following is None or (row.part, row.case) != (following.part, following.case)
        cpu = () if row.headline == "cpu_us" else (spread(results.ratio(row, "cpu_us")),)
        shown.add_row(
            row.part,
            row.case,
            row.who,
            spread(row.spread(row.headline), UNITS[row.headline]),
            spread(results.ratio(row, row.headline)),
            _median(row, "p50_ms"),
            _median(row, "p99_ms"),
            spread(results.ratio(row, "p99_ms")),
            *(_median(row, metric) for metric in (*CPU, "cpu_us")),
            *(cpu or (NONE,)),
            end_section=ends,
        )
    return shown
