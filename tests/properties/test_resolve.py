"""Whatever the order of delivery, a reference's standing comes to be what is true at Stripe."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.domain.session import Observation, Session, merge
from app.domain.standing import Standing, next_step, resolve, with_next_version
from tests.properties.lives import Step, last_steps, lives, truth
from tests.properties.observations import observations, often
from tests.support.observations import joined

STRICT = (1, 2, 3, 60)  # no two steps in one second
TIED = (0, 0, 1)
NOW = 1_800_000_000


class Ledger:
    """Sessions and the standing of one reference, observation by observation."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.standing: Standing | None = None

    def take(self, seen: Observation) -> Standing:
        held = self.sessions.get(seen.key.id)
        self.sessions[seen.key.id] = merge(held, seen)
        self.standing = with_next_version(self.standing, resolve(self.sessions.values()), NOW)
        return self.standing


def after(observations: Iterable[Observation]) -> Standing:
    ledger = Ledger()
    return [ledger.take(observation) for observation in observations][-1]


def holds(standing: Standing, life: list[Step]) -> bool:
    expected = truth(life)
    assert {name: getattr(standing, name) for name in expected} == expected
    assert standing.next_step == next_step(expected["status"], expected["last_error_code"])
    return True


@st.composite
def deliveries(draw: st.DrawFn, observations: list[Observation]) -> list[Observation]:
    """All of them in any order, some more than once."""
    again = draw(st.lists(st.sampled_from(observations), max_size=5))
    return draw(st.permutations(observations + again))


@st.composite
def answers(draw: st.DrawFn, life: list[Step]) -> list[Observation]:
    """What asking Stripe at any times of the life would have shown."""
    found = []
    for asked in draw(st.lists(st.integers(0, len(life) - 1), max_size=4)):
        step = life[asked]
        later = [other.at for other in life[asked + 1 :] if other.session == step.session]
        # The second of the session's next event is the hardest to get right.
        until = min(later, default=step.at + 90)
        found.append(step.answer(draw(st.sampled_from([step.at, until, until]))))
    return found


@often(100)
@given(life=lives(STRICT), data=st.data())
def test_all_events_in_any_order_give_the_truth(life: list[Step], data: st.DataObject) -> None:
    observations = [step.observation() for step in life]
    assert holds(after(data.draw(deliveries(observations))), life)


@often(100)
@given(life=lives(STRICT), data=st.data())
def test_api_answers_among_the_events_do_not_change_the_truth(
    life: list[Step], data: st.DataObject
) -> None:
    observations = [step.observation() for step in life] + data.draw(answers(life))
    assert holds(after(data.draw(deliveries(observations))), life)


@often(100)
@given(life=lives(TIED), data=st.data())
def test_a_final_api_answer_settles_all_that_happened_within_one_second(
    life: list[Step], data: st.DataObject
) -> None:
    final = [step.answer(life[-1].at + 2) for step in last_steps(life).values()]
    observations = [step.observation() for step in life] + final
    assert holds(after(data.draw(deliveries(observations))), life)


@often(100)
@given(life=lives((0, 1, 2)), data=st.data())
def test_an_event_of_another_session_never_takes_a_verified_away(
    life: list[Step], data: st.DataObject
) -> None:
    ledger = Ledger()
    for seen in data.draw(deliveries([step.observation() for step in life])):
        before = ledger.standing
        standing = ledger.take(seen)
        if before and before.status == "verified" and before.session_id != seen.key.id:
            assert standing.status == "verified"


@often(70)
@given(life=lives(STRICT), data=st.data())
def test_once_all_has_arrived_nothing_that_comes_again_makes_a_new_version(
    life: list[Step], data: st.DataObject
) -> None:
    observations = [step.observation() for step in life]
    ledger = Ledger()
    versions = [
        ledger.take(observation).version for observation in data.draw(st.permutations(observations))
    ]
    assert versions[0] == NOW
    assert {b - a for a, b in pairwise(versions)} <= {0, 1}
    again = data.draw(st.permutations(observations))
    assert {ledger.take(observation).version for observation in again} == {versions[-1]}


@often(80)
@given(data=st.data())
def test_resolve_does_not_depend_on_the_order_of_the_sessions(data: st.DataObject) -> None:
    names = ["vs_1", "vs_2", "vs_3", "vs_4"]
    sessions = [
        joined(*data.draw(st.lists(observations(name), min_size=1, max_size=3))) for name in names
    ]
    assert resolve(data.draw(st.permutations(sessions))) == resolve(sessions)
