"""The query of a list, as Stripe's own package would write it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import stripe

from app.stripe.query import query_of


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"limit": 100, "created": {"gte": 5, "lt": 9}},
        {"types": ["a", "b"], "client_reference_id": "ü &=", "delivery_success": False},
        {"a": {"b": [{"c": "d"}], "e": {}}},
    ],
)
def test_a_query_is_that_of_stripes_package(params: dict[str, Any]) -> None:
    assert query_of(params) == urlencode(list(stripe._encode._api_encode(params)))
