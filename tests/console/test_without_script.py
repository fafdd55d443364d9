"""With JavaScript off, everything but what is live works."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser import Visitor, sign_in
from tests.console.site import OPERATOR, READER, REDACTOR, WITHIN, Site, job_of
from tests.console.stock import Lives
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def operator(visitor: Visitor) -> Iterator[Page]:
    """The tab of one who may operate."""
    with visitor.page(OPERATOR, java_script_enabled=False) as page:
        yield page


@pytest.fixture
def redactor(visitor: Visitor) -> Iterator[Page]:
    """The tab of one who may do all."""
    with visitor.page(REDACTOR, java_script_enabled=False) as page:
        yield page


@pytest.fixture
def reader(visitor: Visitor) -> Iterator[Page]:
    """The tab of one who may read."""
    with visitor.page(READER, java_script_enabled=False) as page:
        yield page


def test_somebody_signs_in_and_out(site: Site, visitor: Visitor) -> None:
    with visitor.page(None, java_script_enabled=False) as page:
        page.goto("/console/")
        expect(page).to_have_url(re.compile("/console/sign-in"))
        sign_in(page, site, READER)
        expect(page).to_have_url(re.compile("/console/$"))
        expect(page.get_by_text(READER)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.goto("/console/")
        expect(page).to_have_url(re.compile("/console/sign-in"))


def test_a_wrong_password_is_said_and_lets_nobody_in(site: Site, visitor: Visitor) -> None:
    with visitor.page(None, java_script_enabled=False) as page:
        sign_in(page, site, READER, "guessed")
        expect(page.get_by_role("alert")).to_be_visible()
        page.goto("/console/")
        expect(page).to_have_url(re.compile("/console/sign-in"))


@pytest.mark.parametrize("known_as", ["letter", "session", "user"])
def test_what_is_typed_into_the_box_is_found(operator: Page, site: Site, known_as: str) -> None:
    typed = {**site.ids, "user": "lena"}[known_as]
    operator.goto("/console/")
    operator.get_by_role("searchbox").fill(typed)
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("main")).to_contain_text(typed)


def test_who_may_read_is_shown_no_button_that_changes_something(reader: Page) -> None:
    for path in ("/console/", "/console/dead-letters", "/console/orphans"):
        reader.goto(path)
        expect(reader.get_by_role("main").locator("form[method=post]")).to_have_count(0)


def test_what_who_may_read_posts_all_the_same_is_refused_and_in_the_audit(
    reader: Page, site: Site
) -> None:
    address = f"/console/operations/{site.ids['operation']}/stop"
    answer = reader.request.post(address, headers={"Origin": site.url})
    assert answer.status == 403
    reader.goto("/console/audit?action=stop_operation")
    row = reader.get_by_role("row").filter(has_text="refused").first
    expect(row).to_contain_text(READER)


def test_letters_are_replayed_in_four_steps(operator: Page, site: Site) -> None:
    operator.goto("/console/dead-letters?reason=crashed_worker")
    for user in ("lost-03", "lost-04"):
        operator.get_by_role("row").filter(has_text=user).get_by_role("checkbox").check()
    operator.get_by_role("button", name="Replay the chosen").click()
    expect(operator.get_by_role("heading", name="2 letters of 2 users")).to_be_visible()
    assert site.status("lost-03") is None
    operator.get_by_label("Why").fill("their worker had no memory left")
    operator.get_by_role("button", name="Replay 2 letters").click()
    expect(operator).to_have_url(re.compile("/console/operations/op_"))
    with site.workers():
        ended = operator.get_by_role("main").get_by_text("done", exact=True)
        eventually(lambda: operator.reload() and ended.count(), WITHIN, "end")
    expect(operator.get_by_role("main")).to_contain_text("2 letters of 2")
    assert (site.status("lost-03"), site.status("lost-04")) == ("requires_input", "requires_input")


def test_a_replay_whose_letters_have_changed_since_is_previewed_anew(
    operator: Page, site: Site
) -> None:
    operator.goto("/console/preview?kind=replay&queue=events&reason=timed_out")
    expect(operator.get_by_role("main")).to_contain_text("There are no dead letters like that")
    lives = Lives(time.time())
    first, second = (job_of(lives.opened(f"slow-{number}", 600)) for number in (1, 2))
    site.deployment.bury(first, reason="timed_out")
    operator.reload()
    site.deployment.bury(second, reason="timed_out")
    operator.get_by_label("Why").fill("the database is fast again")
    operator.get_by_role("button", name="Replay 1 letter").click()
    expect(operator.get_by_role("alert")).to_contain_text("1 is new")
    expect(operator.get_by_role("button", name="Replay 2 letters")).to_be_visible()
    expect(operator.get_by_label("Why")).to_have_value("the database is fast again")


def test_letters_are_discarded_only_by_the_count_that_is_typed(redactor: Page, site: Site) -> None:
    job = job_of(Lives(time.time()).opened("unwanted", 600))
    site.deployment.bury(job, reason="attempts_exhausted")
    redactor.goto("/console/preview?kind=discard&queue=events&reason=attempts_exhausted")
    redactor.get_by_label("Why").fill("a test of ours")
    redactor.get_by_label("to confirm").fill("2")
    redactor.get_by_role("button", name="Discard 1 letter").click()
    expect(redactor.get_by_role("main")).to_contain_text("Nothing was done")
    assert job.id in site.deployment.dead


def test_an_operation_is_stopped(operator: Page, site: Site) -> None:
    operator.goto("/console/preview?kind=replay&queue=events&reason=crashed_worker")
    operator.get_by_label("Why").fill("all of them, slowly")
    operator.get_by_label("a second").fill("0.1")
    operator.get_by_role("button", name=re.compile(r"Replay \d+ letters")).click()
    operator.get_by_role("button", name="Stop").click()
    expect(operator.get_by_role("main")).to_contain_text(re.compile("stopping|stopped"))
    with site.workers():
        ended = operator.get_by_role("main").get_by_text("stopped", exact=True)
        eventually(lambda: operator.reload() and ended.count(), WITHIN, "stop")


def test_an_orphan_is_claimed_by_typing_the_reference_twice(operator: Page, site: Site) -> None:
    operator.goto("/console/orphans")
    operator.get_by_role("link", name="Claim vs_orphan_07").click()
    operator.get_by_label("Reference of the user").fill("found-again")
    operator.get_by_label("Type the reference again").fill("found-again")
    operator.get_by_role("button", name="Claim").click()
    expect(operator.get_by_role("main")).to_contain_text("It counts for found-again")
    assert site.status("found-again") == "requires_input"


def test_stripe_is_asked_now(operator: Page) -> None:
    operator.goto("/console/references/lena")
    operator.get_by_role("button", name="Ask Stripe now").click()
    expect(operator.get_by_role("status")).to_be_visible()


def test_what_waits_to_be_tried_again_is_tried_now(operator: Page, site: Site) -> None:
    operator.goto("/console/deferred")
    row = operator.get_by_role("row").filter(has_text="late-0")
    row.get_by_role("checkbox").check()
    operator.get_by_role("button", name="Try the chosen now").click()
    expect(operator.get_by_role("status")).to_contain_text("1 job was put into the queue")
    with site.workers():
        eventually(lambda: site.status("late-0") == "requires_input", WITHIN, "late-0's event")


def test_a_redaction_takes_the_role_and_the_reference(site: Site, visitor: Visitor) -> None:
    user = "vera"
    site.sandbox.submit(site.open_session(user), "verified")
    with site.workers():
        site.backfill()
        eventually(lambda: site.status(user) == "verified", WITHIN)
    address = f"/console/references/{user}"
    with visitor.page(OPERATOR, java_script_enabled=False) as page:
        page.goto(address)
        expect(page.get_by_role("button", name="Redact")).to_have_count(0)
    with visitor.page(REDACTOR, java_script_enabled=False) as page:
        page.goto(address)
        page.locator("form", has_text="Redact").get_by_label("Why").fill("they asked for it")
        page.get_by_label("Type the reference").fill(user)
        page.get_by_role("button", name="Redact").click()
        expect(page.get_by_role("main")).to_contain_text("processing")
