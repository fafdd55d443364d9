"""Builds what `deploy/Dockerfile` builds, without Docker: its instructions, over a Debian.

In place of the base image stands a Debian of the same release with Debian's own Python, and with
pip where the base image has it. All else is the file's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.deploy.dockerfile import Instruction, Stage, exec_form, expand
from tests.support.cli import ROOT

PYTHON = "3.11"
# What makes a folder a system to run commands in, and lends it what pip reaches its index with.
RUN_IN = """
set -eu
root=$1 command=$2
shift 2
for path; do
  mkdir -p "$root${path%/*}"
  if [ -d "$path" ]; then mkdir -p "$root$path"; else : >> "$root$path"; fi
  mount --bind "$path" "$root$path"
done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /bin/sh -c "$command"
"""
LENT_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")
LENT_VARIABLES = ("PIP_CERT", "PIP_FIND_LINKS", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Config:
    """What an image says of how it is run, in OCI's words."""

    env: dict[str, str]
    workdir: str = "/"
    user: str = "0:0"
    cmd: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    ports: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A stage: its files, and what it says."""

    root: Path
    config: Config


def debian(folder: Path, release: str) -> Built:
    """The base image's stand-in, from packages that this machine's apt can reach."""
    root = folder / "debian"
    options = ["--variant=essential", "--include=python3,passwd", "--dpkgopt=force-unsafe-io"]
    _run(["mmdebstrap", *options, release, str(root), f"deb {_mirror(release)} {release} main"])
    return with_python(root)


def with_python(root: Path) -> Built:
    """A Debian with Python, and pip as an image of Python's has it."""
    local, pip = root / "usr/local", ROOT / f".venv/lib/python{PYTHON}/site-packages/pip"
    (local / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3"):
        (local / "bin" / name).symlink_to("/usr/bin/python3")
    packages = local / f"lib/python{PYTHON}/site-packages"
    shutil.copytree(pip, packages / "pip")
    script = local / "bin/pip"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH=/{packages.relative_to(root)} exec python -m pip "$@"\n'
    )
    script.chmod(0o755)
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Built(root, Config({"PATH": path, "LANG": "C.UTF-8"}, cmd=["python3"]))


def _mirror(release: str) -> str:
    """Where this machine's apt has the release's packages from."""
    described = ["--format", "$(CODENAME) $(REPO_URI)", "Identifier: Packages"]
    listed = _run(["apt-get", "indextargets", *described]).splitlines()
    found = dict(line.split(" ", 1) for line in reversed(listed))
    return found.get(release, "http://deb.debian.org/debian")


def _run(command: Sequence[str], **variables: str) -> str:
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


class Builder:
    """Carries out stages, each once. `sent` are the names of the clone's files that it is sent."""

    def __init__(
        self, folder: Path, base: Built, stages: Mapping[str, Stage], sent: Sequence[str]
    ) -> None:
        self._folder = folder
        self._base = base
        self._stages = stages
        self._sent = sent
        self._built: dict[str, Built] = {}

    def build(self, name: str) -> Built:
        """The stage of this name, with those that it is made of."""
        if name not in self._built:
            self._built[name] = self._carry_out(self._stages[name])
        return self._built[name]

    def _carry_out(self, stage: Stage) -> Built:
        below = self.build(stage.base) if stage.base in self._stages else self._base
        root = self._folder / stage.name
        _run(["cp", "--archive", "--reflink=auto", str(below.root), str(root)])
        built, arguments = Built(root, below.config), {}
        for instruction in stage.instructions:
            if instruction.name == "ARG":
                key, _, default = instruction.text.partition("=")
                arguments[key] = default
            elif instruction.name == "RUN":
                self._run(built, arguments, instruction.text)
            elif instruction.name == "COPY":
                self._copy(built, expand(instruction.text, arguments))
            else:
                built = replace(built, config=configured(built.config, instruction, arguments))
                (root / built.config.workdir.lstrip("/")).mkdir(exist_ok=True)
        return built

    def _run(self, built: Built, arguments: Mapping[str, str], command: str) -> None:
        assert built.config.user == "0:0", "no RUN behind a USER is known here"
        lent = [path for path in LENT_FILES if Path(path).exists()] if "pip " in command else []
        variables = {name: os.environ[name] for name in LENT_VARIABLES if name in os.environ}
        paths = [path for path in variables.values() if Path(path).exists()] if lent else []
        environment = {**built.config.env, **arguments, **variables}
        inside = " ".join(f"{name}='{value}'" for name, value in environment.items())
        script = f"cd {built.config.workdir} && export {inside} && {command}"
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        _run([*namespaces, "sh", "-c", RUN_IN, "-", str(built.root), script, *lent, *paths])

    def _copy(self, built: Built, text: str) -> None:
        *sources, target = text.split()
        to = built.root / os.path.join(built.config.workdir, target).lstrip("/")  # noqa: PTH118
        if sources[0].startswith("--from="):
            within = self.build(sources.pop(0).removeprefix("--from=")).root
            for source in sources:
                _run(["cp", "--archive", f"{within / source.lstrip('/')}/.", f"{to}/"])
            return
        for source in sources:
            names = [name for name in self._sent if name == source or name.startswith(f"{source}/")]
            assert names, f"{source} is not sent"
            into_folder = target.endswith("/") or to.is_dir()
            for name in names:
                inner = Path(name).relative_to(source)
                path = to / (inner if inner.parts else Path(name).name if into_folder else "")
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path)


def pairs(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What `A=b C="d e"` sets."""
    words = (expand(word, variables) for word in shlex.split(text))
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def configured(config: Config, instruction: Instruction, arguments: Mapping[str, str]) -> Config:
    """The configuration with what one instruction says. An unknown instruction fails."""
    text = instruction.text
    match instruction.name:
        case "ENV":
            return replace(config, env=config.env | pairs(text, config.env))
        case "LABEL":
            return replace(config, labels=config.labels | pairs(text, arguments))
        case "WORKDIR":
            return replace(config, workdir=text)
        case "USER":
            return replace(config, user=text)
        case "EXPOSE":
            return replace(config, ports=[*config.ports, text])
        case "STOPSIGNAL":
            return replace(config, stop_signal=text)
        case "CMD":
            return replace(config, cmd=exec_form(text))
        case "ENTRYPOINT":
            return replace(config, entrypoint=exec_form(text))
        case "HEALTHCHECK":
            return replace(config, healthcheck=exec_form(text.partition("CMD ")[2]))
    raise AssertionError(f"{instruction.name} is not known here")
