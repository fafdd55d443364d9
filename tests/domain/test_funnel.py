"""Which step of a user's way to being verified a change of their standing is."""

from __future__ import annotations

from collections import Counter

import pytest

from app.domain.funnel import Change, Funnel, steps_of

CODE = "document_expired"


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        pytest.param(
            Change(None, "requires_input", None, "created", True), ("created",), id="created"
        ),
        pytest.param(
            Change(None, "requires_input", None, "requires_input", False),
            ("created",),
            id="created through the API",
        ),
        pytest.param(
            Change("canceled", "requires_input", None, "created", True),
            ("created",),
            id="created again",
        ),
        pytest.param(
            Change("requires_input", "requires_input", None, "created", True),
            ("created",),
            id="another session after a failure",
        ),
        pytest.param(
            Change("requires_input", "requires_input", None, "requires_input", False),
            (),
            id="an answer that changes no step",
        ),
        pytest.param(
            Change("requires_input", "processing", None, "processing", True),
            ("submitted",),
            id="submitted",
        ),
        pytest.param(
            Change("processing", "verified", None, "verified", True), ("verified",), id="verified"
        ),
        pytest.param(
            Change("requires_input", "verified", None, "verified", True),
            ("submitted", "verified"),
            id="verified before the event that tells of the submission",
        ),
        pytest.param(
            Change(None, "verified", None, "verified", False), (), id="verified long ago, imported"
        ),
        pytest.param(
            Change("verified", "verified", None, "redacted", True),
            (),
            id="redacted, still verified",
        ),
        pytest.param(
            Change("processing", "requires_input", CODE, "requires_input", True),
            ("failed/document_expired",),
            id="failed",
        ),
        pytest.param(
            Change("requires_input", "requires_input", CODE, "requires_input", True),
            ("submitted", "failed/document_expired"),
            id="failed before the event that tells of the submission",
        ),
        pytest.param(
            Change("requires_input", "requires_input", CODE, "redacted", True),
            (),
            id="the same failure, redacted",
        ),
        pytest.param(
            Change(None, "requires_input", CODE, "requires_input", False),
            (),
            id="failed long ago, imported",
        ),
        pytest.param(
            Change("requires_input", "requires_input", "abandoned", "requires_input", True),
            ("failed/abandoned",),
            id="abandoned, and not submitted",
        ),
        pytest.param(
            Change("requires_input", "canceled", None, "canceled", True),
            ("canceled",),
            id="canceled",
        ),
        pytest.param(
            Change(None, "canceled", None, "canceled", False), (), id="canceled long ago, imported"
        ),
        pytest.param(Change("verified", "expired", None, "expired", False), (), id="expired"),
        pytest.param(Change("canceled", "none", None, "created", True), (), id="moved elsewhere"),
    ],
)
def test_the_steps_of_a_change(change: Change, steps: tuple[str, ...]) -> None:
    assert steps_of(change) == steps


def test_who_gave_up_is_no_failure_of_a_check() -> None:
    steps = Counter({"created": 9, "failed/abandoned": 3, "failed/a": 1, "failed/b": 2})
    funnel = Funnel.of(steps)
    assert (funnel.created, funnel.verified, funnel.abandoned) == (9, 0, 3)
    assert list(funnel.failed.items()) == [("b", 2), ("a", 1)]
