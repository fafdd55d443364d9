"""Signing in at a provider, as a browser does it, and every way in which that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from redis import Redis
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.web.console.console import SIGN_IN_BURST, Console
from app.web.console.flows import FLOW_COOKIE, FLOW_PATH, MAX_COOKIE, Flow, Flows
from app.web.console.flows import LASTS as FLOW_LASTS
from app.web.console.people import People, Role
from app.web.console.routes import ConsoleRoutes
from app.web.console.sessions import COOKIE, LASTS_BY_PROVIDER, ProviderSessions, SignedIn
from app.web.main import create_app
from tests.oidc.conftest import settings_for
from tests.support.provider import CLIENT, SECRET, StandIn, standing_in
from tests.web.console.browser import ADDRESS, CONSOLE_USERS, Browser, opened_console, signed_in

BEGIN, BACK = FLOW_PATH, FLOW_PATH + "/callback"


def environment_for(provider: StandIn, **other: str) -> dict[str, str]:
    return {
        "CONSOLE_OIDC_ISSUER": provider.url,
        "CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "CONSOLE_OIDC_CLIENT_SECRET": SECRET,
        "CONSOLE_OIDC_ROLES": "ops:operate leads:redact",
        "CONSOLE_OIDC_ROLE_CLAIM": "groups",
        "CONSOLE_URL": ADDRESS,
        **other,
    }


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def web_client(
    environment: dict[str, str], redis: Redis, provider: StandIn
) -> Iterator[TestClient]:
    settings = Settings.from_environment(environment | environment_for(provider))
    with TestClient(create_app(settings), ADDRESS, follow_redirects=False) as client:
        yield client


def led_back(client: TestClient, provider: StandIn, back: str = "/console/audit") -> str:
    """The address that the provider leads this browser to, once the person has agreed."""
    answer = client.get(f"{BEGIN}?{urlencode({'next': back})}")
    assert answer.status_code == 303, answer.text
    return provider.allow(answer.headers["location"]).removeprefix(ADDRESS)


def ended(client: TestClient, provider: StandIn) -> Any:
    return client.get(led_back(client, provider))


def attributes(answer: Any, cookie: str) -> set[str]:
    (found,) = (
        line for line in answer.headers.get_list("set-cookie") if line.startswith(cookie + "=")
    )
    return {part.strip().lower() for part in found.split(";")[1:]}


def test_somebody_signs_in_at_the_provider_and_comes_back(
    web_client: TestClient, provider: StandIn, console: Console
) -> None:
    answer = ended(web_client, provider)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/audit")
    page = web_client.get("/console/audit")
    assert "anna@example.com <small>(operate)</small>" in page.text
    (entry,) = console.stores.audit.page(None, 5)
    assert (entry.who, entry.action, entry.result) == ("anna@example.com", "sign_in", "done")


def test_the_sign_in_page_leads_to_the_provider(web_client: TestClient) -> None:
    text = web_client.get("/console/sign-in?next=/console/audit").text
    assert f'href="{BEGIN}?next=%2Fconsole%2Faudit"' in text
    assert "Sign in with 127.0.0.1" in text
    assert 'name="password"' not in text
    assert "proxy" not in text


def test_passwords_are_taken_beside_it_where_there_are_any(
    environment: dict[str, str], redis: Redis, provider: StandIn
) -> None:
    with opened_console(environment, **environment_for(provider)) as client:
        text = client.get("/console/sign-in").text
        assert "Sign in with 127.0.0.1" in text
        assert 'name="password"' in text
        assert signed_in(client, "reader").get("/console/audit").status_code == 200
        assert ended(client, provider).status_code == 303


def test_both_cookies_are_for_their_paths_alone_and_short(
    web_client: TestClient, provider: StandIn
) -> None:
    begun = web_client.get(BEGIN)
    usual = {"httponly", "samesite=lax", "secure"}
    assert attributes(begun, FLOW_COOKIE) == usual | {
        f"max-age={FLOW_LASTS}",
        f"path={BEGIN}",
    }
    answer = ended(web_client, provider)
    assert attributes(answer, COOKIE) == usual | {f"max-age={LASTS_BY_PROVIDER}", "path=/console"}
    assert "max-age=0" in attributes(answer, FLOW_COOKIE)


def test_signing_out_ends_it_in_this_browser(web_client: TestClient, provider: StandIn) -> None:
    ended(web_client, provider)
    web_client.post("/console/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert web_client.get("/console/audit").headers["location"].startswith("/console/sign-in")


def test_who_is_signed_in_is_not_sent_to_the_provider(
    web_client: TestClient, provider: StandIn
) -> None:
    ended(web_client, provider)
    answer = web_client.get(f"{BEGIN}?next=/console/audit")
    assert answer.headers["location"] == "/console/audit"


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "/v1/x", BACK])
def test_nobody_is_led_elsewhere_afterwards(
    web_client: TestClient, provider: StandIn, elsewhere: str
) -> None:
    answer = web_client.get(led_back(web_client, provider, elsewhere))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


def test_the_providers_answer_counts_in_the_browser_only_that_began(
    web_client: TestClient, provider: StandIn
) -> None:
    """Else an attacker has a victim work in a session of the attacker's."""
    attackers = led_back(web_client, provider)
    web_client.cookies.clear()
    answer = web_client.get(attackers)
    assert (answer.status_code, COOKIE in answer.cookies) == (400, False)
    assert "was not begun in this browser" in answer.text
    led_back(web_client, provider)  # the victim has begun a sign-in too
    assert web_client.get(attackers).status_code == 400
    assert provider.asked["/token"] == 0


def test_an_answer_counts_once(web_client: TestClient, provider: StandIn) -> None:
    back = led_back(web_client, provider)
    flow = web_client.cookies[FLOW_COOKIE]
    assert web_client.get(back).status_code == 303
    web_client.cookies.clear()
    assert web_client.get(back).status_code == 400
    again = web_client.get(back, headers={"Cookie": f"{FLOW_COOKIE}={flow}"})
    assert (again.status_code, COOKIE in again.cookies) == (400, False)
    assert "does not take its own code any more" in again.text


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"state": ["another"]}, 400, "was not begun in this browser"),
        ({"state": ["STATE", "STATE"]}, 400, "was not begun in this browser"),
        ({"iss": ["https://evil.example"]}, 401, "provider answers than the one that was asked"),
        ({"code": ["a", "b"]}, 502, "neither a code nor an error"),
        ({"code": [""]}, 502, "neither a code nor an error"),
        ({"code": ["guessed"]}, 400, "does not take its own code"),
        ({"code": ["x" * 20_000]}, 400, "was not begun in this browser"),
    ],
)
def test_an_answer_that_was_tampered_with_lets_nobody_in(
    web_client: TestClient, provider: StandIn, sent: dict[str, list[str]], status: int, said: str
) -> None:
    query = parse_qs(urlsplit(led_back(web_client, provider)).query)
    (state,) = query["state"]
    changed = query | {
        name: [state if one == "STATE" else one for one in values] for name, values in sent.items()
    }
    answer = web_client.get(f"{BACK}?{urlencode(changed, doseq=True)}")
    assert (answer.status_code, COOKIE in answer.cookies) == (status, False)
    assert said in answer.text


def test_a_provider_that_says_who_it_is_has_to_say_it_always(
    web_client: TestClient, provider: StandIn
) -> None:
    """By this a browser cannot be made to mix up two providers (RFC 9207)."""
    provider.published["authorization_response_iss_parameter_supported"] = True
    back = led_back(web_client, provider)
    assert web_client.get(back).status_code == 401
    back = led_back(web_client, provider)
    named = f"{back}&{urlencode({'iss': provider.url})}"
    assert web_client.get(named).status_code == 303


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("access_denied", 403, "has not signed you in (access_denied)"),
        ("temporarily_unavailable", 503, "cannot sign anybody in now"),
        ("invalid_scope", 502, "CONSOLE_OIDC_SCOPES"),
        ("<b>PLANTED", 502, "an error that is not in the standard"),
    ],
)
def test_what_the_provider_refuses_is_one_plain_line(
    web_client: TestClient, provider: StandIn, error: str, status: int, said: str
) -> None:
    provider.error = error
    answer = ended(web_client, provider)
    assert answer.status_code == status
    assert said in answer.text
    assert 'href="/console/sign-in"' in answer.text
    assert "PLANTED" not in answer.text


def test_a_clock_that_is_off_is_named(web_client: TestClient, provider: StandIn) -> None:
    provider.changed = {"exp": 1_000}
    answer = ended(web_client, provider)
    assert answer.status_code == 401
    assert "compare this server&#39;s clock with the provider&#39;s" in answer.text


def test_while_the_provider_is_away_that_is_said_and_the_rest_goes_on(
    environment: dict[str, str], redis: Redis, provider: StandIn
) -> None:
    settings = environment_for(provider, CONSOLE_OIDC_ISSUER="http://127.0.0.1:9")
    with opened_console(environment, **settings) as client:
        answer = client.get(BEGIN)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "127.0.0.1 cannot be reached" in answer.text
        assert signed_in(client, "reader").get("/console/audit").status_code == 200


def test_whoever_has_no_role_is_told_so_and_is_in_the_audit(
    web_client: TestClient, provider: StandIn, console: Console
) -> None:
    provider.person["groups"] = ["others"]
    with capture_logs() as lines:
        answer = ended(web_client, provider)
    assert (answer.status_code, COOKIE in answer.cookies) == (403, False)
    assert "CONSOLE_OIDC_ROLES" in answer.text
    (entry,) = console.stores.audit.page(None, 5)
    assert (entry.who, entry.action, entry.result) == ("anna@example.com", "sign_in", "refused")
    (line,) = (line for line in lines if line["event"] == "sign-in refused")
    assert (line["person"], line["reason"]) == ("anna@example.com", "no_role")


def test_nothing_secret_of_a_sign_in_is_in_the_log(
    web_client: TestClient, provider: StandIn
) -> None:
    with capture_logs() as lines:
        ended(web_client, provider)
        web_client.cookies.clear()
        for token in ("", "x"):
            provider.changed = {"aud": token}
            ended(web_client, provider)
        provider.token_answer = (400, {"error": "PLANTED", "error_description": "PLANTED"})
        ended(web_client, provider)
    assert len(lines) >= 4
    assert "PLANTED" not in str(lines)
    assert not any(given in str(lines) for given in provider.seen)


def test_sign_ins_are_limited_and_an_open_session_is_not(
    web_client: TestClient, provider: StandIn, console: Console
) -> None:
    ended(web_client, provider)
    session = Browser(web_client, web_client.cookies[COOKIE])
    web_client.cookies.clear()
    for _ in range(SIGN_IN_BURST):
        console.sign_ins.allows()
    for path in (BEGIN, BACK):
        answer = web_client.get(path)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
    assert session.get("/console/audit").status_code == 200


def test_without_a_provider_there_is_no_such_address(stranger: Browser, provider: StandIn) -> None:
    """`stranger` is of a console that has one."""
    assert stranger.get(BEGIN).status_code == 303
    settings = Settings.from_environment({"CONSOLE_USERS": CONSOLE_USERS})
    app = create_app(settings)
    assert isinstance(app, Starlette)
    (routes,) = (route for route in app.routes if isinstance(route, ConsoleRoutes))
    assert not any(route.path.startswith(FLOW_PATH) for route in routes.routes)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


ANNA = SignedIn("1001", "anna@example.com", "operate")


def test_a_session_by_the_provider_ends_after_its_time(provider: StandIn) -> None:
    clock = Clock()
    sessions = ProviderSessions(settings_for(provider), clock)
    cookie = sessions.cookie_of(ANNA)
    clock.now += LASTS_BY_PROVIDER
    assert sessions.read(cookie) == ANNA
    clock.now += 1
    assert sessions.read(cookie) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"CONSOLE_OIDC_CLIENT_SECRET": "another-secret-of-ours"},
        {"CONSOLE_OIDC_CLIENT_ID": "another-client"},
        {"CONSOLE_OIDC_ISSUER": "https://another.example"},
        {"CONSOLE_OIDC_ROLES": "ops:read leads:redact"},
        {"CONSOLE_OIDC_ROLE_CLAIM": "roles"},
        {"CONSOLE_OIDC_PERSON_CLAIM": "sub"},
    ],
)
def test_all_sessions_end_when_what_decides_changes(
    provider: StandIn, changed: dict[str, str]
) -> None:
    cookie = ProviderSessions(settings_for(provider), Clock()).cookie_of(ANNA)
    assert ProviderSessions(settings_for(provider, **changed), Clock()).read(cookie) is None


def test_no_cookie_passes_for_another_kind(provider: StandIn) -> None:
    settings, clock = settings_for(provider), Clock()
    sessions, flows = ProviderSessions(settings, clock), Flows(settings, "/console/", clock)
    flow = flows.cookie_of(Flow("anna", "x", "redact", "/console/"))
    assert sessions.read(flow) is None
    everything = Settings.from_environment(environment_for(provider, CONSOLE_USERS=CONSOLE_USERS))
    people = People(everything, clock)
    for cookie in (flow, sessions.cookie_of(ANNA), people.sessions.cookie_of("reader")):
        found = [people.sessions.name_in(cookie), sessions.read(cookie)]
        assert sum(one is not None for one in found) <= 1
    for forged in ("", ".", "W10.a.b", sessions.cookie_of(ANNA)[:-1] + "!", "é.é.é"):
        assert sessions.read(forged) is None
    assert Role.named(ANNA.role) is Role.OPERATE


def test_an_address_that_no_cookie_can_hold_is_not_come_back_to(provider: StandIn) -> None:
    flows = Flows(settings_for(provider), "/console/", Clock())
    long = Flow.begun("/console/" + "é" * 1_900)
    cookie = flows.cookie_of(long)
    assert len(cookie) <= MAX_COOKIE
    assert flows.ended(cookie, QueryParams({"state": long.state})).back == "/console/"
