"""The first page: the verdict, the stages, what needs a person, who is hit, how far users came."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.domain.durations import DAY
from app.domain.snapshot import SessionKey
from app.ledger.counts import count_standings
from app.local.valkey import free_port
from app.web.console.console import Console
from tests.support.cli import Run, command_runner
from tests.support.deployment import letter
from tests.support.ledger import observation
from tests.support.waiting import eventually
from tests.web.console.browser import Browser, opened_console, signed_in

PLANTED = "<script>PLANTED</script>"


VOID = {"meta", "link", "input", "rect", "circle", "path"}


class Parts(HTMLParser):
    """The texts of a page: its title, of elements by id, and of its rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.rows: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append("")
        if tag not in VOID:
            self._open.append(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for name in self._open:
            self.found[name] = f"{self.found.get(name, '')}{data}"
        if "tr" in self._open:
            self.rows[-1] = f"{self.rows[-1]} {data.strip()}".strip()


def parts(browser: Browser) -> Parts:
    answer = browser.get("/console/")
    assert answer.status_code == 200
    return Parts(answer.text)


def bury(console: Console, reference: str) -> None:
    """An event of this user dies."""
    queue = console.stores.events
    job = letter("evt_1", reference=reference, session="vs_1", at=0)
    queue.enqueue(job)
    (claimed,) = queue.claim("token", 60, 1)
    assert queue.bury(claimed, "permanent_error", "Broken", "it broke")


def test_the_verdict_is_the_first_thing_and_the_title(reader: Browser) -> None:
    found = parts(reader).found
    assert found["verdict-sentence"] == "Nobody is verified while no worker runs. No event waits."
    assert found["title"].startswith(found["verdict-sentence"])
    text = reader.get("/console/").text
    assert text.index('role="status"') < text.index("Needs a person")
    assert text.count("<h1") == 1


def test_all_stages_have_a_word_and_a_shape(reader: Browser) -> None:
    page = reader.get("/console/").text
    stages = Parts(page).found["stages"]
    for name in ("Stripe", "web", "queue", "workers", "ledger", "your system"):
        assert name in stages
    assert "none for events and effects" in stages
    assert page.count('class="state ') == 6
    assert page.count("<svg viewBox") == 6


def test_what_needs_a_person_has_its_users_and_one_action(
    reader: Browser, console: Console
) -> None:
    bury(console, "user-1")
    page = reader.get("/console/").text
    (row,) = [row for row in Parts(page).rows if row.startswith("dead letters")]
    assert row.startswith("dead letters permanent_error 1 1")
    assert "/console/dead-letters?queue=events&amp;reason=permanent_error" in page


def test_every_link_of_what_needs_a_person_leads_somewhere(
    reader: Browser, console: Console
) -> None:
    ledger, now = console.stores.ledger, int(time.time())
    for seen in (
        observation("processing", now, reference=None, session="vs_1"),
        observation("requires_input", now, session="vs_2", error="selfie_manipulated"),
        observation("canceled", now - 9 * DAY, session="vs_3", redaction="processing"),
    ):
        ledger.apply([seen], policy=None, now=now)
    ledger.polling.mark_missing(SessionKey("vs_1", "", False), now)
    for _ in range(2):
        count_standings(console.stores.engine, now)
    bury(console, "user-1")
    queue = console.stores.events
    queue.enqueue(letter("evt_2"))
    (claimed,) = queue.claim("token", 60, 1)
    assert queue.retry_later(claimed, 600, "Busy", "for now")
    page = reader.get("/console/").text
    links = set(
        re.findall(r'href="([^"]+)"', page[page.index("<h2>Needs") : page.index("</table>")])
    )
    assert len(links) == 6
    for link in links:
        assert reader.get(unescape(link)).status_code == 200, link


def test_who_is_hit_is_shown_as_they_stand_and_would_after_a_replay(
    reader: Browser, console: Console
) -> None:
    console.stores.ledger.apply(
        [observation("processing", 100, reference="user-1")], policy=None, now=100
    )
    bury(console, "user-1")
    page = reader.get("/console/").text
    (row,) = [row for row in Parts(page).rows if row.startswith("user-1")]
    assert row == "user-1 processing, wait verified 1"
    assert 'href="/console/references/user-1?livemode=false"' in page


def test_how_far_users_came_is_drawn_with_its_table(reader: Browser, console: Console) -> None:
    now = int(time.time())
    console.stores.ledger.apply([observation("verified", now - 60)], policy=None, now=now)
    for _ in range(2):
        count_standings(console.stores.engine, now)
    page = reader.get("/console/").text
    assert Parts(page).rows.count("verified 1 user") == 2  # the day's, and the week's
    assert page.count('<svg class="chart"') == 2
    assert "in test mode; counted until" in page


def test_before_the_clock_has_counted_no_number_is_shown(reader: Browser) -> None:
    page = reader.get("/console/").text
    assert "Not counted yet" in page
    assert '<svg class="chart"' not in page


def test_a_reference_cannot_write_into_the_page(reader: Browser, console: Console) -> None:
    console.stores.ledger.apply(
        [observation("verified", 100, reference=PLANTED)], policy=None, now=100
    )
    bury(console, PLANTED)
    page = reader.get("/console/").text
    assert PLANTED not in page
    assert "&lt;script&gt;PLANTED" in page


@pytest.fixture
def run(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    return command_runner(environment, monkeypatch, capsys)


def test_its_json_is_what_the_command_gives(reader: Browser, console: Console, run: Run) -> None:
    bury(console, "user-1")
    console.stores.ledger.apply([observation("processing", 100)], policy=None, now=100)

    def without_time(one: dict[str, object]) -> dict[str, object]:
        text = json.dumps({name: value for name, value in one.items() if name != "at"})
        return dict(json.loads(text, object_hook=_without_ages))

    def agree() -> bool:
        shown = reader.get("/console/.json").json()
        told = run("status", "--json").object
        return without_time(shown) == without_time(told)

    # Sentences have ages in them, and a second may end between the two.
    eventually(agree, 30)


def _without_ages(of: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in of.items() if not name.endswith("_seconds")}


@pytest.fixture
def away(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    """A console whose ledger is not there."""
    url = f"postgresql://user@127.0.0.1:{free_port()}/identity"
    with opened_console(environment, DATABASE_URL=url) as client:
        yield client


def test_without_the_ledger_the_page_says_so_and_shows_the_rest(
    away: TestClient, redis: Redis
) -> None:
    page = signed_in(away, "reader").get("/console/")
    assert page.status_code == 200
    assert "the ledger is away" in page.text
    assert "start it, or correct host and port in DATABASE_URL" in page.text
    assert "Not known while the ledger is away" in page.text
    assert "none for events and effects" in page.text


def test_without_redis_the_page_says_so_and_shows_the_rest(environment: dict[str, str]) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    with opened_console(environment, REDIS_URL=url) as client:
        page = signed_in(client, "reader").get("/console/")
    assert page.status_code == 200
    assert "No delivery is taken: Redis is away." in page.text
    assert "Not counted yet" in page.text
