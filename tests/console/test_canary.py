"""No secret and no personal datum that Stripe sends is on any page, in any form of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from app.local.fault_injection import broken_session
from tests.console.pages import ADDRESSES, name_of
from tests.console.site import KEY, PASSWORD, WITHIN, Site, hashed
from tests.console.stock import Lives
from tests.e2e.test_canaries import CANARY, planted
from tests.support.events import SENSITIVE
from tests.support.waiting import eventually
from tests.web.deliveries import SECRET

pytestmark = pytest.mark.slow
STREAM_SECONDS = 3.0
# Where what was planted would be seen first.
PLANTED = (
    "/console/references/planted",
    "/console/sessions/vs_planted",
    "/console/dead-letters/evt_planted_3",
    "/console/find?q=planted",
)


@pytest.fixture(scope="module")
def flown(site: Site) -> list[str]:
    """Events with a canary in every field, applied and dead; gives what Stripe's own API made."""
    made: Any = site.sandbox.client(KEY).v1.identity.verification_sessions.create(
        {
            "type": "document",
            "client_reference_id": "lena",
            "provided_details": {"email": f"{CANARY}@example.com"},
        }
    )
    bodies = [planted(body) for body in Lives(time.time()).ended("planted", 600, "verified")]
    with site.workers():
        site.deliver(bodies[0])
        site.await_quiet()
        with broken_session(site.deployment.stores.engine, "vs_planted"):
            site.deliver(*bodies[1:])
            ids = {body["id"] for body in bodies[1:]}
            eventually(lambda: ids <= site.deployment.dead, WITHIN, "death")
        site.backfill()
        site.await_quiet()
    return [made.client_secret, made.url]


def assert_clean(text: str, flown: list[str]) -> None:
    lowered = text.lower()
    for planted_text in (CANARY, SENSITIVE, *flown, SECRET, KEY, PASSWORD, hashed()):
        assert planted_text.lower() not in lowered


@pytest.mark.parametrize("address", [*ADDRESSES, *PLANTED], ids=name_of)
@pytest.mark.parametrize("form", ["", ".json"])
def test_no_planted_value_is_on_a_page(
    site: Site, signed_in: requests.Session, flown: list[str], address: str, form: str
) -> None:
    path, question, query = address.format(**site.ids).partition("?")
    answer = signed_in.get(site.url + path + form + question + query, timeout=WITHIN)
    assert answer.ok
    assert_clean(answer.text, flown)


def test_no_planted_value_is_in_the_stream(
    site: Site, signed_in: requests.Session, flown: list[str]
) -> None:
    stop = time.monotonic() + STREAM_SECONDS
    url = site.url + "/console/live"
    with signed_in.get(url, stream=True, timeout=(WITHIN, STREAM_SECONDS)) as answer:
        assert answer.ok
        told = ""
        for line in answer.iter_lines(decode_unicode=True):
            told += line
            if time.monotonic() > stop or "planted" in told:
                break
    assert "data:" in told
    assert_clean(told, flown)


@pytest.mark.parametrize("address", PLANTED, ids=name_of)
def test_what_is_kept_is_found_on_the_pages(
    site: Site, signed_in: requests.Session, flown: list[str], address: str
) -> None:
    assert "vs_planted" in signed_in.get(site.url + address, timeout=WITHIN).text
