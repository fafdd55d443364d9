"""Which letters an operation is about, and how their set is pinned."""

from __future__ import annotations

import pytest

from app.domain.errors import Rejected
from app.operations.bulk.selection import LetterSet, Pin, digest_of
from app.operations.dlq.selection import Selection

PIN = Pin(1_764_410_000, -1_764_409_999.123456, 37, "9f86d081884c7d65")
BY_FILTERS = LetterSet("events", Selection(reason="timed_out", older_than=60.0))
BY_IDS = LetterSet("effects", ids=("evt_1-notify", "evt_2-notify"))


@pytest.mark.parametrize("chosen", [LetterSet("events"), BY_FILTERS, BY_IDS])
def test_a_set_is_the_same_after_it_was_json(chosen: LetterSet) -> None:
    assert LetterSet.from_json(chosen.queue, chosen.as_json()) == chosen


def test_conditions_that_are_not_known_are_refused_and_never_taken_for_none() -> None:
    with pytest.raises(Rejected, match="does not know the filter colour"):
        LetterSet.from_json("events", {"colour": "red"})


def test_a_digest_is_read_as_it_was_given() -> None:
    assert Pin.parse(str(PIN)) == PIN
    assert " " not in str(PIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1_2_3",
        "1_x_3_abc",
        "1_2.0_3_abc_5",
        "1_nan_3_abc",
        "1_inf_3_abc",
        "-1_2.0_3_abc",
        f"{10**400}_2.0_3_abc",
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="digest"):
        Pin.parse(text)


def test_a_digest_is_of_one_kind_one_queue_and_one_selection() -> None:
    digests = {
        digest_of("replay", BY_FILTERS),
        digest_of("discard", BY_FILTERS),
        digest_of("replay", LetterSet("effects", BY_FILTERS.filters)),
        digest_of("replay", LetterSet("events")),
        digest_of("replay", BY_IDS),
    }
    assert len(digests) == 5
