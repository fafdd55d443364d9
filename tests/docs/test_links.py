"""What GitHub shows and what the site shows is the same: links, anchors, lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

from tests.docs.pages import DOCS, PAGES, ROOT, headings, links, name_of, prose, read


def on_github(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The anchors that a page has on GitHub and in the site."""
    found = headings(page)
    return {on_github(text) for text in found} & {slugify(text, "-") for text in found}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
        # The site has what is in docs/, and nothing else.
        if page.is_relative_to(DOCS) and not target.is_relative_to(DOCS):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_two_headings_of_a_page_have_one_anchor(page: Path) -> None:
    found = [on_github(text) for text in headings(page)]
    assert sorted({text for text in found if found.count(text) > 1}) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=name_of)
def test_a_list_is_one_in_the_site_too(page: Path) -> None:
    # Python's Markdown wants an empty line before a list, and four spaces for what is within it.
    text = prose(page)
    joined = re.findall(r"^(?!\s|- |\d+\. |\|)\S.*\n(?=(?:- |\d+\. ))", text, re.MULTILINE)
    narrow = re.findall(r"^ {1,3}(?:```|- |\d+\. ).*$", read(page), re.MULTILINE)
    assert joined + narrow == []


NAMED = re.compile(r"docs/[\w/-]+\.md(?:#[\w-]+)?")


@pytest.mark.parametrize("folder", ["app", "workers", "deploy", "tests"])
def test_every_page_that_is_named_beside_the_docs_exists(folder: str) -> None:
    files = [
        file
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".yml", ".json", ".md", ".html") and file.is_file()
    ]
    named = {link for file in files for link in NAMED.findall(file.read_text("utf-8"))}
    assert named
    dead = []
    for link in sorted(named):
        path, _, anchor = link.partition("#")
        page = ROOT / path
        if not page.exists() or (anchor and anchor not in anchors(page)):
            dead.append(link)
    assert dead == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, ahead = set(), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [link.partition("#")[0] for link in links(page) if "://" not in link]
        ahead += [(page.parent / target).resolve() for target in targets if target]
    assert sorted(set(DOCS.rglob("*.md")) - seen) == []
