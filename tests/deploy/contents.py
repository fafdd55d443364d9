"""What must not be in an image's files, and what of them its user could change."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

BINARIES = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "venv/bin")
COMPILERS = {
    "as",
    "c++",
    "cc",
    "cc1",
    "clang",
    "cpp",
    "g++",
    "gcc",
    "go",
    "ld",
    "make",
    "rustc",
    "tcc",
}
INSTALLERS = {"ensurepip", "pip", "setuptools", "wheel"}
# Where everybody may write in any image; what runs with a read-only root cannot even there.
OPEN_TO_ALL = {"tmp", "var/tmp", "run/lock", "dev"}


def faults_of(root: Path) -> list[str]:
    """A line for each thing that is wrong with the files."""
    return sorted({*_programs(root), *_packages(root), *_changeable(root), *_uncompiled(root)})


def _programs(root: Path) -> Iterator[str]:
    for folder in (root / name for name in BINARIES):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name in COMPILERS or path.name.partition("-")[0] in {"gcc", "clang"}:
                yield f"/{path.relative_to(root)} compiles"
            if path.name.rstrip("0123456789.") in INSTALLERS:
                yield f"/{path.relative_to(root)} installs packages"


def _packages(root: Path) -> Iterator[str]:
    for kind in ("site-packages", "dist-packages"):
        for folder in root.glob(f"**/{kind}"):
            for name in INSTALLERS:
                if (folder / name).exists():
                    yield f"/{folder.relative_to(root)}/{name} installs packages"
    for package in (root / "var/lib/dpkg/info").glob("*-dev*.list"):
        yield f"{package.stem} is for building"
    for name in (".git", "tests"):
        if (root / "identity" / name).exists():
            yield f"/identity/{name} is of no use there"


def _changeable(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        inner = path.relative_to(root).as_posix()
        if path.is_symlink() or any(
            inner == at or inner.startswith(f"{at}/") for at in OPEN_TO_ALL
        ):
            continue
        found = path.lstat()
        if found.st_mode & stat.S_IWOTH or found.st_uid >= 1000:
            yield f"/{inner} can be changed by its user"


def _uncompiled(root: Path) -> Iterator[str]:
    for folder in (root / "identity", root / "venv"):
        for path in folder.rglob("*.py"):
            if not any((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc")):
                yield f"/{path.relative_to(root)} is not compiled"
