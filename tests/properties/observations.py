"""Hypothesis strategies: any sights of one session, in so few seconds that ties abound."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from app.domain.session import Observation
from tests.support.observations import answer, observation

STATUSES = ["requires_input", "processing", "verified", "canceled", "on_hold", "paused"]
SELFIE = '{"document":{"require_matching_selfie":true}}'
PASSPORT = '{"document":{"allowed_types":["passport"]}}'
REDACTIONS = [None, "validated", "processing", "redacted", "archived", "paused"]


def often(examples: int) -> settings:
    """Settings for a property: no deadline, for the cores that run it may be busy."""
    return settings(
        deadline=None,
        max_examples=examples,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@st.composite
def observations(draw: st.DrawFn, session: str = "vs_1") -> Observation:
    """An event or an API answer of the session; not every one is likely, none is impossible."""
    source = draw(st.sampled_from([1, 2]))
    fields: dict[str, Any] = {
        "status": draw(st.sampled_from(STATUSES)),
        "at": draw(st.integers(10, 13)),
        "error": draw(
            st.sampled_from([None, "abandoned", "country_not_supported", "document_expired"])
        ),
        "report": draw(st.sampled_from([None, "vr_1", "vr_2"])),
        "redaction": draw(st.sampled_from(REDACTIONS)),
        "reference": draw(st.sampled_from([None, "user-1", "user-2"])),
        "source": source,
        "purpose": draw(st.sampled_from(["", "", "driver", "tenant"])),
        "session": session,
        "created": draw(st.integers(1, 3)),
        "type": draw(st.sampled_from(["document", "id_number"])),
        "flow": draw(st.sampled_from([None, "vf_1", "vf_2"])),
        "options": draw(st.sampled_from([None, SELFIE, PASSPORT])),
    }
    if draw(st.booleans()):
        return answer(**fields, reported_at=draw(st.sampled_from([None, None, 8, 11])))
    return observation(
        **fields,
        name=draw(st.sampled_from([None, "created", "requires_input", "redacted"])),
        event_id=draw(st.sampled_from(["evt_a", "evt_b", "evt_c"])),
    )
