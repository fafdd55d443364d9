"""The team's own function: how it is found, and what its errors do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException

from app.domain.errors import IdentityError, Misconfigured
from app.notifications import Permanent, ReferenceChanged, Retry
from app.notifications.subscriber import SubscriberFailed, call, load
from app.queue.retry_policy import Bury, RetryLater, decide, describe
from tests.notifications.receiver import CHANGED

ROOT = Path(__file__).parents[2]
WRONG = {
    "a module that is not there": ("team_absent:tell", None, "(no module team_absent)"),
    "a module whose own import is not there": ("team:tell", "import gone_x", "(no module gone_x)"),
    "a module that raises": ("team:tell", "\nraise KeyError('hush')", "(KeyError in team.py:2)"),
    "a module that cannot be read": ("team:tell", "def tell(:", "(SyntaxError in team.py:1)"),
    "a module that exits": ("team:tell", "raise SystemExit(0)", "(SystemExit in team.py:1)"),
    "a name that is not there": ("team:tell", "", "names nothing in that module"),
    "what is no function": ("team:tell", "tell = 7", "is not a function"),
    "an async function": ("team:tell", "async def tell(m): ...", "is an async function"),
    "a function of nothing": ("team:tell", "def tell(): ...", "has to take one argument"),
    "a function of two": ("team:tell", "def tell(a, b): ...", "has to take one argument"),
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the team's module, where Python finds it in this test only."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "team", raising=False)

    def module(source: str) -> Path:
        (tmp_path / "team.py").write_text(source)
        return tmp_path

    return module


def raising(error: BaseException) -> Callable[[ReferenceChanged], None]:
    def subscriber(message: ReferenceChanged) -> None:
        raise error

    return subscriber


def raised(error: BaseException) -> Exception:
    """What the worker sees if the subscriber raises this."""
    with pytest.raises((IdentityError, JobTimeoutException)) as caught:
        call(raising(error), CHANGED)
    return caught.value


def test_the_function_is_called_with_the_message(write: Callable[[str], Path]) -> None:
    write("told = []\ntell = told.append")
    call(load("team:tell"), CHANGED)
    assert sys.modules["team"].told == [CHANGED]


@pytest.mark.parametrize(("path", "source", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_path_is_reported_in_one_line(
    write: Callable[[str], Path], path: str, source: str | None, said: str
) -> None:
    write(source or "")
    with pytest.raises(Misconfigured) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"SUBSCRIBER {path} ")
    assert problem.count(said) == 1
    assert "\n" not in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('at import')", "tell = None", "raise SystemExit(0)"]
)
def test_the_workers_do_not_start_with_a_subscriber_that_cannot_be_called(
    write: Callable[[str], Path], source: str
) -> None:
    folder = write(source)
    ended = subprocess.run(
        [sys.executable, "-m", "workers"],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(folder),
            "SUBSCRIBER": "team:tell",
            "DATABASE_URL": "sqlite:///unused.db",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("SUBSCRIBER team:tell ")


def test_a_retry_comes_after_the_time_it_asks_for() -> None:
    assert decide(raised(Retry(300)), attempts=0, chance=1.0) == RetryLater(300)


def test_a_retry_never_comes_before_the_backoff() -> None:
    assert decide(raised(Retry(-5)), attempts=3, chance=1.0) == RetryLater(16)


def test_a_retry_waits_for_a_day_at_most() -> None:
    assert decide(raised(Retry(10.0**12)), attempts=0, chance=1.0) == RetryLater(86_400)


@pytest.mark.parametrize("after", [float("nan"), float("inf"), "60", None])
def test_a_retry_without_a_number_of_seconds_is_tried_again_like_any_fault(after: Any) -> None:
    error = raised(Retry(after))
    assert isinstance(error, SubscriberFailed)
    assert decide(error, attempts=0, chance=1.0) == RetryLater(2)


def test_what_is_permanent_is_a_dead_letter_with_the_teams_reason() -> None:
    error = raised(Permanent("no such user"))
    assert decide(error, attempts=0, chance=1.0) == Bury("permanent_error")
    assert describe(error) == ("Permanent", "no such user")


@pytest.mark.parametrize("error", [ValueError("jenny@example.com"), SystemExit("jenny")])
def test_any_other_error_is_tried_again_and_its_text_is_not_kept(error: BaseException) -> None:
    seen = raised(error)
    assert decide(seen, attempts=0, chance=1.0) == RetryLater(2)
    error_class, told = describe(seen)
    assert error_class == "SubscriberFailed"
    where = r"subscriber \(tests/notifications/test_subscriber.py:\d+\)"
    assert re.fullmatch(f"the subscriber raised {type(error).__name__} in {where}", told)


def test_a_subscriber_that_takes_too_long_is_tried_once_more_and_then_a_dead_letter() -> None:
    error = raised(JobTimeoutException("late"))
    assert decide(error, attempts=0, chance=1.0) == RetryLater(2, timed_out=True)
    assert decide(error, attempts=1, timeouts=1, chance=1.0) == Bury("timed_out")
