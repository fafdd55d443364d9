"""merge is a join: commutative, associative, idempotent, and it says what the design says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.attempts import ERRORS_WITHOUT_REPORT
from app.domain.registers import REDACTIONS
from app.domain.session import Observation, join, merge, seen
from tests.properties.observations import observations, often
from tests.support.observations import joined

some = st.lists(observations(), min_size=1, max_size=8)


@often(100)
@given(observations=some, data=st.data())
def test_any_order_and_any_repetition_gives_the_same_session(
    observations: list[Observation], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(observations), max_size=6))
    delivered = data.draw(st.permutations(observations + again))
    assert joined(*delivered) == joined(*observations)


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
@given(observations=some, split=st.integers(1, 7))
def test_two_halves_merged_apart_join_to_the_whole(
    observations: list[Observation], split: int
) -> None:
    split = min(split, len(observations))
    one, other = observations[:split], observations[split:]
    assert not other or join(joined(*one), joined(*other)) == joined(*observations)


LADDER = [
    ("requires_input", False),
    ("processing", False),
    ("requires_input", True),
    ("verified", False),
    ("canceled", False),
]


def step(observation: Observation) -> int:
    key = (
        observation.snapshot.status,
        observation.snapshot.status == "requires_input"
        and observation.snapshot.last_error_code is not None,
    )
    return LADDER.index(key) if key in LADDER else len(LADDER)


@often(100)
@given(observations=some)
def test_a_session_is_what_the_design_says_of_all_its_observations(
    observations: list[Observation],
) -> None:
    session = joined(*observations)
    kept = session.snapshot

    last = max((s.as_of, step(s), s.event_id) for s in observations)
    tops = [s.snapshot for s in observations if (s.as_of, step(s), s.event_id) == last]
    levels = {(top.type, top.verification_flow, top.options) for top in tops}
    assert (kept.type, kept.verification_flow, kept.options) in levels
    shown = {s.snapshot.redaction for s in observations}
    assert (kept.status, kept.last_error_code, kept.report) in [
        (top.status, top.last_error_code, None if "redacted" in shown else top.report)
        for top in tops
    ]
    if "redacted" in shown:
        assert kept.redaction == "redacted"
    elif shown <= set(REDACTIONS):
        assert kept.redaction == max(shown, key=REDACTIONS.index)
    else:
        assert kept.redaction in shown - set(REDACTIONS)

    failed = [
        s
        for s in observations
        if s.snapshot.status == "requires_input" and s.snapshot.last_error_code
    ]
    reported = [
        s
        for s in failed
        if s.snapshot.report and s.snapshot.last_error_code not in ERRORS_WITHOUT_REPORT
    ]
    reports = {s.snapshot.report for s in reported}
    seconds = {s.as_of for s in failed if s not in reported and s.transition}
    assert session.attempts == (len(reports) + len(seconds) or min(1, len(failed)))

    of_status = [s for s in observations if s.snapshot.status == session.status]
    entered = [s.as_of for s in of_status if s.transition]
    if session.status == "requires_input":  # one without an error was so from the start
        entered += [s.snapshot.created for s in of_status if step(s) == 0 and not s.transition]
    verified = session.status == "verified"
    looked = [s.reported_at if verified and s.reported_at else s.as_of for s in of_status]
    assert session.status_since == (max(entered) if entered else min(looked))

    named = [s for s in observations if s.snapshot.reference is not None]
    strongest = max((s.snapshot.reference_source for s in named), default=0)
    latest = max((s.as_of for s in named if s.snapshot.reference_source == strongest), default=0)
    assert kept.reference in {
        s.snapshot.reference
        for s in named
        if (s.snapshot.reference_source, s.as_of) == (strongest, latest)
    } | ({None} if not named else set())
    assert kept.created == min(s.snapshot.created for s in observations)


@often(100)
@given(observations=some)
def test_neither_redaction_nor_attempts_ever_go_back(observations: list[Observation]) -> None:
    session = seen(observations[0])
    for observation in observations:
        before, session = session, merge(session, observation)
        assert session.attempts >= before.attempts
        assert session.as_of >= before.as_of
        if before.snapshot.redaction is not None:
            assert session.snapshot.redaction is not None
        if before.snapshot.redaction == "redacted":
            assert session.snapshot.redaction == "redacted"
