"""What the tests of pages do alike: run a command beside a page, and read a page's forms."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from tests.support.cli import Run, command_runner


def commands(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `identity` on the stores that the console shows."""
    names = ("REDIS_URL", "DATABASE_URL")
    chosen = {name: environment[name] for name in names}
    return command_runner(chosen, monkeypatch, capsys)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, list[tuple[str, str]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append((given.get("action") or "", []))
        elif tag == "input" and given.get("name") and given.get("type") != "checkbox":
            self.forms[-1][1].append((given["name"] or "", given.get("value") or ""))


def fields_of(html: str, action: str) -> dict[str, list[str]]:
    """What the form of this address holds, as a browser would send it; boxes are not ticked."""
    parser = _Forms()
    parser.feed(html)
    (pairs,) = (pairs for address, pairs in parser.forms if address == action)
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
