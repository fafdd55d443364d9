"""What the pages write in the same way: times, numbers, states, forms, links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jinja2 import Environment

from app.configuration.settings import Settings
from app.domain.standing import ReferenceKey
from app.web.console import templating, texts
from app.web.console.console import Console
from app.web.console.people import Person, Role

IMPORT = (
    '{% from "macros.html" import when, age, state, number, table, pager, post, link_reference %}'
)


@pytest.fixture
def templates() -> Iterator[Environment]:
    """The console's templates, without a page."""
    console = Console.of(Settings.from_environment({}), now=lambda: 0.0)
    yield console.templates._environment
    console.stores.close()


def write(templates: Environment, source: str, person: Person | None = None, **seen: Any) -> str:
    token = templating._person.set(person)
    try:
        return templates.from_string(IMPORT + source).render(seen)
    finally:
        templating._person.reset(token)


def test_a_time_says_its_zone_and_is_for_programs_too(templates: Environment) -> None:
    assert write(templates, "{{ when(1764424925) }}") == (
        '<time datetime="2025-11-29T14:02:05Z">2025-11-29 14:02:05 UTC</time>'
    )
    assert write(templates, "{{ when(none) }}") == '<span class="none">never</span>'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (4.9, "4 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (11_100, "3 h 5 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_an_age_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert texts.age(seconds) == text


def test_a_number_has_its_unit(templates: Environment) -> None:
    assert texts.number(1_234_567, "users") == "1,234,567 users"
    assert texts.number(1, "user", "users") == "1 user"
    assert texts.number(0, "user", "users") == "0 users"
    assert write(templates, '{{ number(2, "user", "users") }}') == (
        '<span class="number">2 users</span>'
    )


def test_a_state_has_a_shape_of_its_own_and_says_it_in_a_word(templates: Environment) -> None:
    kinds = ("ok", "warn", "bad", "off")
    written = [write(templates, "{{ state('as it is', kind) }}", kind=kind) for kind in kinds]
    assert all("as it is</span>" in text for text in written)
    assert all('aria-hidden="true"' in text for text in written)
    shapes = {text.partition("<svg")[2] for text in written}
    assert len(shapes) == len(kinds)


def test_a_button_is_for_those_whose_role_allows_it(templates: Environment) -> None:
    source = "{{ post('/console/x', 'Redact', {'id': 1}, role='redact') }}"
    assert write(templates, source).strip() == ""
    assert write(templates, source, Person("anna", Role.OPERATE)).strip() == ""
    assert "<button>Redact</button>" in write(templates, source, Person("anna", Role.REDACT))


def test_a_form_posts_every_value_and_asks_for_what_has_to_be_typed(
    templates: Environment,
) -> None:
    source = "{{ post('/console/x', 'Discard', {'id': ['evt_1', 'evt_<'], 'n': 2}, confirm=37) }}"
    text = write(templates, source, Person("anna", Role.OPERATE))
    assert '<form class="act" method="post" action="/console/x">' in text
    for field in ('name="id" value="evt_1"', 'name="id" value="evt_&lt;"', 'name="n" value="2"'):
        assert f'<input type="hidden" {field}>' in text
    assert "Type <code>37</code> to confirm" in text
    assert '<input name="confirm" required' in text


@pytest.mark.parametrize(
    ("key", "address"),
    [
        (ReferenceKey("", False, "user-1"), "/console/references/user-1?livemode=false"),
        (
            ReferenceKey("acct_1", True, "a/b?c", "loan"),
            "/console/references/a%2Fb%3Fc?livemode=true&account=acct_1&purpose=loan",
        ),
        (
            {"reference": "user.json", "livemode": True, "account": ""},
            "/console/references/user%2Ejson?livemode=true",
        ),
    ],
)
def test_a_reference_leads_to_its_page(templates: Environment, key: Any, address: str) -> None:
    text = write(templates, "{{ link_reference(key) }}", key=key)
    assert f'href="{address.replace("&", "&amp;")}"' in text


def test_a_long_list_leads_on_and_a_short_one_does_not(templates: Environment) -> None:
    assert 'rel="next" href="/console/x?before=7"' in write(
        templates, "{{ pager('/console/x?before=7') }}"
    )
    assert write(templates, "{{ pager(none) }}") == ""


def test_a_table_can_be_scrolled_by_keyboard_and_has_a_name(templates: Environment) -> None:
    text = write(templates, '{% call table("Letters") %}<tbody></tbody>{% endcall %}')
    assert '<div class="table" role="region" aria-label="Letters" tabindex="0">' in text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("run `identity migrate`", "run <code>identity migrate</code>"),
        ("`a` and `<b>`", "<code>a</code> and <code>&lt;b&gt;</code>"),
        ("<i> of one ` mark", "&lt;i&gt; of one ` mark"),
        ("", ""),
    ],
)
def test_a_command_between_backticks_is_code(templates: Environment, text: str, html: str) -> None:
    assert write(templates, "{{ text|with_code }}", text=text) == html
