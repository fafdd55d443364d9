"""What Hypothesis makes of the domain's input."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FAST = settings(
    deadline=None,
    max_examples=120,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

texts = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "evt_1", "verified", "a b", "1"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "code", "status", "type"]) | texts, inner)
    ),
    max_leaves=8,
)
