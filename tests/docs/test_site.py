"""The site builds, has every page, and asks nobody else for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, name_of

pytestmark = [pytest.mark.slow]
MKDOCS = Path(sys.executable).with_name("mkdocs")
# What a browser loads by itself, from another host.
LOADED = re.compile(
    r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"' >]+"""
)
LINKED_ONLY = re.compile(r'rel=["\']?(?:canonical|next|prev)')


def build(folder: Path, *, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Build the site of a copy of the repository into a folder, strictly."""
    return subprocess.run(
        [MKDOCS, "build", "--strict", "--config-file", root / "mkdocs.yml", "--site-dir", folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_it_has_every_page(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    assert [page for page in sorted(pages) if not (site / page).is_file()] == []


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = [
        f"{page.name}: {found}"
        for page in site.rglob("*.html")
        for found in LOADED.findall(page.read_text("utf-8"))
        if not LINKED_ONLY.search(found)
    ]
    styled = [
        f"{sheet.name}: {found}"
        for sheet in site.rglob("*.css")
        for found in re.findall(r"(?:@import|url\()\s*[\"']?https?://[^)\"']+", sheet.read_text())
    ]
    # Material loads Mermaid from elsewhere for a page that has a diagram of it.
    diagrams = [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text()]
    assert loaded + styled + diagrams == []


def test_it_can_be_searched(site: Path) -> None:
    assert "client_reference_id" in (site / "search/search_index.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("[dead](nosuch.md)", "nosuch.md"),
        ("[dead](how-to/sessions.md#nosuch)", "#nosuch"),
        ("[outside](../SECURITY.md)", "SECURITY.md"),
    ],
)
def test_a_dead_link_fails_the_build(tmp_path: Path, planted: str, said: str) -> None:
    for source in [ROOT / "mkdocs.yml", *(each for each in DOCS.rglob("*") if each.is_file())]:
        copy = tmp_path / "copy" / name_of(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    with (tmp_path / "copy/docs/index.md").open("a") as index:
        index.write(f"\n{planted}\n")
    built = build(tmp_path / "site", root=tmp_path / "copy")
    assert built.returncode == 1
    assert said in built.stderr
