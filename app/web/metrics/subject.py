"""A subject of `/metrics`: how its numbers are read, and what Prometheus is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from app.queue.counts import Histogram

T = TypeVar("T")

# The values of a metric's labels, in their order; one alone needs no tuple.
Labels = TypeVar("Labels", bound="tuple[str, ...] | str")


@dataclass(frozen=True, slots=True, eq=False)  # each is one of its kind
class Subject(Generic[T]):
    """Numbers that are read together, from one store, whatever becomes of the others."""

    store: str  # `redis` or `ledger`
    read: Callable[[], T]  # raises IdentityError or RedisError
    families: Callable[[T], Iterable[Metric]]  # no label holds an id or a reference
    shows_up: bool = False  # whether the store counts as up by this reading


def gauge(
    name: str, documentation: str, labels: tuple[str, ...], values: Mapping[Labels, float]
) -> Metric:
    """What may rise and fall."""
    return _filled(GaugeMetricFamily(name, documentation, labels=labels), values)


def counter(
    name: str, documentation: str, labels: tuple[str, ...], values: Mapping[Labels, float]
) -> Metric:
    """What only rises; Prometheus sees `name` with `_total` behind it."""
    return _filled(CounterMetricFamily(name, documentation, labels=labels), values)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[Labels, float]
) -> Metric:
    for of, value in values.items():
        family.add_metric(_values(of), value)
    return family


def histogram(
    name: str, documentation: str, labels: tuple[str, ...], values: Mapping[Labels, Histogram]
) -> Metric:
    """How long what took, in seconds."""
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for of, (buckets, total) in values.items():
        *under, (_, all_of_them) = buckets
        family.add_metric(_values(of), [*under, ("+Inf", all_of_them)], total)
    return family


def _values(of: tuple[str, ...] | str) -> tuple[str, ...]:
    return (of,) if isinstance(of, str) else of
