"""`/console/dead-letters`: what failed for good."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.web.console import dead_letters
from tests.cli.dlq.letters import bury_five
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter
from tests.support.events import SENSITIVE
from tests.web.console.browser import Browser
from tests.web.console.pages import commands

LIST = "/console/dead-letters"


@pytest.fixture
def run(environment: Any, monkeypatch: Any, capsys: Any) -> Run:
    """Runs `identity` beside the console."""
    return commands(environment, monkeypatch, capsys)


def ids_in(html: str) -> list[str]:
    """The letters that a page lists, in their order."""
    return re.findall(r'<th scope="row" class="id"><a href="[^"]+">(evt_[^<]+)</a>', html)


def test_letters_are_counted_by_reason_and_shown_with_user_and_error(
    deployment: Deployment, reader: Browser
) -> None:
    bury_five(deployment)
    html = reader.get(LIST).text
    assert ids_in(html) == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
    assert "5 dead letters" in html
    assert '<a href="/console/dead-letters?queue=events&amp;reason=timed_out">timed_out</a>' in html
    assert "/console/references/user-1?livemode=false" in html
    assert "/console/sessions/vs_user-2" in html
    assert "Slow: it broke" in html
    assert "4 d 4 h" in html


@pytest.mark.parametrize(
    ("query", "options", "ids"),
    [
        ("", "", "evt_5 evt_4 evt_3 evt_2 evt_1"),
        ("?reason=timed_out", "--reason timed_out", "evt_1"),
        ("?status=verified", "--status verified", "evt_5 evt_3 evt_1"),
        ("?reference=user-1&reason=", "--reference user-1", "evt_2 evt_1"),
        ("?session=vs_user-2", "--session vs_user-2", "evt_3"),
        ("?older_than=3h", "--older-than 3h", "evt_3 evt_2 evt_1"),
        ("?younger_than=150m", "--younger-than 150m", "evt_5 evt_4"),
        ("?reference=nobody", "--reference nobody", ""),
    ],
)
def test_a_filtered_page_and_its_json_are_what_the_command_gives(
    deployment: Deployment, reader: Browser, run: Run, query: str, options: str, ids: str
) -> None:
    bury_five(deployment)
    assert ids_in(reader.get(LIST + query).text) == ids.split()
    found = reader.get(f"{LIST}.json{query}").json()
    counts, *letters = run("dlq", "list", "--json", *options.split()).objects
    assert {name: found[name] for name in counts} == counts
    assert (found["letters"], found["next"]) == (letters, None)


def test_pages_are_followed_by_their_links_to_the_last(
    deployment: Deployment, reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "ROWS", 2)
    bury_five(deployment)
    seen, address = [], f"{LIST}?status=verified"
    for _ in range(2):
        html = reader.get(address).text
        seen.append(ids_in(html))
        found = re.search(r'rel="next" href="([^"]+)"', html)
        if found is None:
            break
        address = found[1].replace("&amp;", "&")
    assert seen == [["evt_5", "evt_3"], ["evt_1"]]
    assert found is None


def test_effects_have_a_list_of_their_own(deployment: Deployment, reader: Browser) -> None:
    id = deployment.bury_effect()
    assert "0 dead letters" in reader.get(LIST).text
    html = reader.get(f"{LIST}?queue=effects").text
    assert f'href="/console/dead-letters/{id}"' in html


def test_a_filter_that_is_none_is_told(reader: Browser) -> None:
    answer = reader.get(f"{LIST}?older_than=soon")
    assert answer.status_code == 400
    assert "is not an age: write 90s, 15m, 2h or 3d" in answer.text
    assert reader.get(f"{LIST}.json?after=here").status_code == 400


def test_a_letters_page_tells_all_that_the_command_tells(
    deployment: Deployment, reader: Browser, run: Run
) -> None:
    deployment.events.enqueue(letter("evt_1", "requires_input", error="document_expired"))
    (job,) = deployment.events.claim("token", 60, 1)
    came_from = "KeyError\n  myapp/identity.py:12, in on_reference_changed\n    users[id]"
    told = ("permanent_error", "KeyError", "raised in on_reference_changed")
    assert deployment.events.bury(job, *told, traceback=came_from)
    html = reader.get(f"{LIST}/evt_1").text
    for part in ("permanent_error", "document_expired", "myapp/identity.py:12", "user-1"):
        assert part in html
    assert SENSITIVE not in html
    shown = run("dlq", "show", "evt_1", "--traceback", "--json").object
    assert reader.get(f"{LIST}/evt_1.json").json() == shown


def test_a_letter_that_no_version_can_read_has_a_page(
    deployment: Deployment, reader: Browser
) -> None:
    deployment.bury(letter("evt_1"))
    deployment.redis.hset("rq:job:evt_1", "data", b"\x80")
    deployment.redis.hdel("rq:job:evt_1", "reason", "error_class", "last_failed_at")
    assert "No version of this product" in reader.get(f"{LIST}/evt_1").text
    assert ids_in(reader.get(LIST).text) == ["evt_1"]


def test_what_is_not_dead_is_not_found_and_it_is_said_where_it_is(
    deployment: Deployment, reader: Browser
) -> None:
    deployment.events.enqueue(letter("evt_1"))
    answer = reader.get(f"{LIST}/evt_1")
    assert answer.status_code == 404
    assert "it is queued" in answer.text
    assert reader.get(f"{LIST}/evt_9.json").status_code == 404


def test_who_may_only_read_is_offered_nothing_to_press(
    deployment: Deployment, reader: Browser, operator: Browser
) -> None:
    bury_five(deployment)
    for address in (LIST, f"{LIST}/evt_1"):
        assert "eplay" in operator.get(address).text.partition("<main")[2]
        shown = reader.get(address).text.partition("<main")[2]
        assert not re.search("<button[^>]*>(Replay|Discard)|Replay all|>Replay…", shown)
        assert "checkbox" not in shown


def test_a_reference_is_shown_as_text(deployment: Deployment, reader: Browser) -> None:
    deployment.bury(letter("evt_1", reference="<script>alert(1)</script>", session="vs_1"))
    for address in (LIST, f"{LIST}/evt_1"):
        html = reader.get(address).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html
