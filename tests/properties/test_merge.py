"""merge is a join: commutative, associative, idempotent, and it says what the design says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.session import REDACTIONS, Observation, join, merge, seen
from tests.domain.builders import joined
from tests.properties.observations import observations, often

some = st.lists(observations(), min_size=1, max_size=8)


@often(100)
@given(sights=some, data=st.data())
def test_any_order_and_any_repetition_gives_the_same_session(
    sights: list[Observation], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(sights), max_size=6))
    delivered = data.draw(st.permutations(sights + again))
    assert joined(*delivered) == joined(*sights)


@often(80)
@given(one=some, other=some, third=some)
def test_join_is_commutative_associative_and_idempotent(
    one: list[Observation], other: list[Observation], third: list[Observation]
) -> None:
    a, b, c = joined(*one), joined(*other), joined(*third)
    assert join(a, a) == a
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c)) == joined(*one, *other, *third)
    assert join(join(a, b), b) == join(a, b)


@often(80)
@given(sights=some, split=st.integers(1, 7))
def test_two_halves_merged_apart_join_to_the_whole(sights: list[Observation], split: int) -> None:
    split = min(split, len(sights))
    one, other = sights[:split], sights[split:]
    assert not other or join(joined(*one), joined(*other)) == joined(*sights)


LADDER = [
    ("requires_input", False),
    ("processing", False),
    ("requires_input", True),
    ("verified", False),
    ("canceled", False),
]


def step(sight: Observation) -> int:
    key = (sight.status, sight.status == "requires_input" and sight.last_error_code is not None)
    return LADDER.index(key) if key in LADDER else len(LADDER)


@often(100)
@given(sights=some)
def test_a_session_is_what_the_design_says_of_all_its_observations(
    sights: list[Observation],
) -> None:
    session = joined(*sights)

    last = max((s.as_of, step(s), s.event_id) for s in sights)
    tops = [s for s in sights if (s.as_of, step(s), s.event_id) == last]
    shown = {s.redaction for s in sights}
    assert (session.status, session.last_error_code, session.report) in [
        (s.status, s.last_error_code, None if "redacted" in shown else s.report) for s in tops
    ]
    if "redacted" in shown:
        assert session.redaction == "redacted"
    elif shown <= set(REDACTIONS):
        assert session.redaction == max(shown, key=REDACTIONS.index)
    else:
        assert session.redaction in shown - set(REDACTIONS)

    failed = [s for s in sights if s.status == "requires_input" and s.last_error_code]
    reports = {s.report for s in failed if s.report}
    seconds = {s.as_of for s in failed if not s.report and s.transition}
    assert session.attempts == (len(reports) + len(seconds) or min(1, len(failed)))

    entered = [s.as_of for s in sights if s.status == session.status and s.transition]
    if session.status == "requires_input":  # one without an error was so from the start
        entered += [s.created for s in sights if step(s) == 0 and not s.transition]
    looked = [s.as_of for s in sights if s.status == session.status]
    assert session.status_since == (max(entered) if entered else min(looked))

    named = [s for s in sights if s.reference is not None]
    strongest = max((s.reference_source for s in named), default=0)
    latest = max((s.as_of for s in named if s.reference_source == strongest), default=0)
    assert session.reference in {
        s.reference for s in named if (s.reference_source, s.as_of) == (strongest, latest)
    } | ({None} if not named else set())
    assert session.created == min(s.created for s in sights)


@often(100)
@given(sights=some)
def test_neither_redaction_nor_attempts_ever_go_back(sights: list[Observation]) -> None:
    session = seen(sights[0])
    for sight in sights:
        before, session = session, merge(session, sight)
        assert session.attempts >= before.attempts
        assert session.as_of >= before.as_of
        if before.redaction is not None:
            assert session.redaction is not None
        if before.redaction == "redacted":
            assert session.redaction == "redacted"
