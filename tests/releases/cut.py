"""`python -m tests.releases.cut X.Y.Z` (`make release VERSION=X.Y.Z`): a release, by one command.

Two commits: the release itself, which is tagged, and the beginning of what comes after it, so that
no later state of the clone calls itself the release. Nothing is pushed.
"""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import click
from packaging.version import Version

from tests.releases.changelog import UNRELEASED, begun, released, section
from tests.releases.holding import FOLDER
from tests.releases.write import write

ROOT = Path(__file__).parents[2]
PROJECT, CHANGELOG = "pyproject.toml", "CHANGELOG.md"
VERSION = re.compile(r'^version = "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clone:
    """What a release depends on: what git says, and the two files that it changes."""

    branch: str
    is_clean: bool
    tags: frozenset[str]
    project: str
    changelog: str

    @property
    def version(self) -> Version:
        """What pyproject.toml says: `0.2.0.dev0` until 0.2.0 is released."""
        found = VERSION.search(self.project)
        assert found is not None, "pyproject.toml has no version"
        return Version(found[1])


def problem_of(clone: Clone, version: str) -> str | None:
    """Why the version cannot be released from the clone, and what to do; None if it can."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return f"{version!r} is no version: three numbers, such as 1.2.3"
    if clone.branch != "main":
        return f"a release is made on main, and this is {clone.branch or 'no branch'}"
    if not clone.is_clean:
        return "something is not committed: `git status` shows it"
    if Version(version) <= clone.version:
        return f"{version} is not later than {clone.version}, which {PROJECT} says"
    if f"v{version}" in clone.tags:
        return f"v{version} is a tag already: choose another version"
    try:
        notes = section(clone.changelog, UNRELEASED)
    except KeyError:
        return f"{CHANGELOG} has no `## {UNRELEASED}`: add it above the newest release"
    return None if notes else f"{CHANGELOG} says nothing under `## {UNRELEASED}`: what changes?"


def release_files(clone: Clone, version: str, day: date) -> dict[str, str]:
    """The files as the release has them."""
    return {
        PROJECT: _with_version(clone.project, version),
        CHANGELOG: released(clone.changelog, version, day),
    }


def files_after(files: Mapping[str, str], version: str) -> dict[str, str]:
    """The files with which the next version begins."""
    major, minor, patch = Version(version).release
    return {
        PROJECT: _with_version(files[PROJECT], f"{major}.{minor}.{patch + 1}.dev0"),
        CHANGELOG: begun(files[CHANGELOG]),
    }


def _with_version(project: str, version: str) -> str:
    return VERSION.sub(f'version = "{version}"', project, count=1)


@click.command()
@click.argument("version")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
def cut(version: str, dry_run: bool) -> None:
    """Commit and tag release VERSION, on a clean clone's main, and begin what comes after it.

    Exit code 1 if it cannot be released; nothing is changed then.
    """
    clone = _read()
    if problem := problem_of(clone, version):
        raise click.ClickException(problem)
    before = {PROJECT: clone.project, CHANGELOG: clone.changelog}
    release = release_files(clone, version, datetime.now(UTC).date())
    after = files_after(release, version)
    if dry_run:
        click.echo(f"Release {version}:\n{_diff(before, release)}")
        click.echo(f"What it writes into Redis and the ledger: tests/releases/{version}\n")
        click.echo(f"After it:\n{_diff(release, after)}", nl=False)
        return
    _keep_what_it_writes(clone, version)
    _commit(release, f"Release {version}")
    _git("tag", "--annotate", f"v{version}", "--message", f"Release {version}")
    _commit(after, f"What comes after {version}")
    click.echo(f"Committed and tagged v{version}. Nothing is pushed: look at it, then")
    click.echo(f"  git push origin main v{version}")


def _read() -> Clone:
    return Clone(
        branch=_git("branch", "--show-current"),
        is_clean=not _git("status", "--porcelain"),
        tags=frozenset(_git("tag").split()),
        project=(ROOT / PROJECT).read_text("utf-8"),
        changelog=(ROOT / CHANGELOG).read_text("utf-8"),
    )


def _diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    lines = (
        difflib.unified_diff(
            before[name].splitlines(keepends=True),
            after[name].splitlines(keepends=True),
            f"a/{name}",
            f"b/{name}",
        )
        for name in before
    )
    return "".join(line for file in lines for line in file)


def _keep_what_it_writes(clone: Clone, version: str) -> None:
    """What `tests.releases.write` kept while the release was made is not what it writes now."""
    shutil.rmtree(FOLDER / clone.version.base_version, ignore_errors=True)
    folder = FOLDER / version
    folder.mkdir()
    write(folder)


def _commit(files: Mapping[str, str], message: str) -> None:
    for name, text in files.items():
        (ROOT / name).write_text(text, "utf-8")
    _git("add", "--all", *files, "tests/releases")
    _git("commit", "--quiet", "--message", message)


def _git(*arguments: str) -> str:
    ran = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    if ran.returncode:
        said = ran.stderr.strip() or ran.stdout.strip()
        raise click.ClickException(
            f"git {arguments[0]} failed: {said}\n`git status` says how far it came"
        )
    return ran.stdout.strip()


if __name__ == "__main__":
    cut()
