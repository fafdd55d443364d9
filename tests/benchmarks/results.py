"""What was measured: each row's samples, round by round, and how it compares with its baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

# What is compared, by part; more is better where it is a rate.
HEADLINES = {
    "ingest": "per_second",
    "hostile": "p99_ms",
    "drain": "per_second",
    "latency": "p50_ms",
    "idle": "percent",
    "growth": "cpu_us",
    "memory": "bytes",
    "processes": "megabytes",
    "replay": "per_second",
    "catch-up": "per_second",
}
# The parts of `cpu_us`: CPU microseconds for each event of our processes, Valkey and PostgreSQL.
CPU = ("cpu_own_us", "cpu_valkey_us", "cpu_database_us")


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the least and greatest of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, numbers: list[float]) -> Spread:
        """Of one number or more."""
        return cls(median(numbers), min(numbers), max(numbers))


@dataclass
class Row:
    """One thing measured: `who` in one `case` of one `part`, to be compared with `baseline`."""

    part: str
    case: str
    who: str
    baseline: str
    samples: dict[int, dict[str, float]] = field(default_factory=dict)  # by round

    def spread(self, metric: str) -> Spread | None:
        """Over the rounds; None where it was not measured."""
        numbers = [sample[metric] for sample in self.samples.values() if metric in sample]
        return Spread.of(numbers) if numbers else None

    @property
    def headline(self) -> str:
        """The metric that the part is about."""
        return HEADLINES[self.part]


class Results:
    """All rows, in the order in which they first came."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}

    def add(
        self, number: int, part: str, case: str, who: str, baseline: str, **metrics: float
    ) -> None:
        """One sample of round `number`; `cpu_us` is added up from its parts."""
        row = self._rows.setdefault((part, case, who), Row(part, case, who, baseline))
        cpu = [metrics[name] for name in CPU if name in metrics]
        row.samples[number] = {**metrics, "cpu_us": sum(cpu)} if cpu else metrics

    def rows(self) -> list[Row]:
        """Sorted into parts and cases, each in the order in which it was first measured."""
        keys = list(self._rows)
        parts = list(HEADLINES)
        cases = list(dict.fromkeys(key[:2] for key in keys))
        whos = {"bare": 0, "bare, httptools": 1, "rq": 2, "celery": 3, "product": 4}

        def place(key: tuple[str, str, str]) -> tuple[int, int, int]:
            return parts.index(key[0]), cases.index(key[:2]), whos.get(key[2], keys.index(key))

        return [self._rows[key] for key in sorted(keys, key=place)]

    def ratio(self, row: Row, metric: str) -> Spread | None:
        """To the baseline, round by round, so that what slows a whole round cancels out."""
        baseline = self._rows.get((row.part, row.case, row.baseline))
        if baseline is None or baseline is row:
            return None
        ratios = [
            sample[metric] / baseline.samples[number][metric]
            for number, sample in row.samples.items()
            if metric in sample and baseline.samples.get(number, {}).get(metric)
        ]
        return Spread.of(ratios) if ratios else None

    def add_earlier(self, rows: list[dict[str, Any]]) -> None:
        """What an earlier run wrote as JSON, of the parts that are not measured now."""
        measured = {row.part for row in self._rows.values()}
        for row in rows:
            if row["part"] not in measured:
                key = (row["part"], row["case"], row["who"])
                samples = {int(number): sample for number, sample in row["samples"].items()}
                self._rows[key] = Row(*key, row["baseline"], samples)

    def as_json(self) -> list[dict[str, object]]:
        """Every row with all of its samples."""
        return [
            {
                "part": row.part,
                "case": row.case,
                "who": row.who,
                "baseline": row.baseline,
                "headline": row.headline,
                "samples": row.samples,
            }
            for row in self.rows()
        ]
