"""An image in OCI's layout, and containers of it, by umoci and runc: no daemon, no registry."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.image import Built

STOP_WITHIN = 30.0  # seconds; compose.yaml's stop_grace_period


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The command, whatever its exit code is."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def done(command: Sequence[str]) -> None:
    """The command, which has to succeed."""
    ran = run(command)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)


@dataclass(frozen=True)
class Image:
    """A layout with one tag, and the bundle that it is unpacked to."""

    layout: Path
    bundle: Path

    @property
    def config(self) -> dict[str, Any]:
        """The image's configuration, as a registry would keep it."""
        manifest = self._blob(json.loads((self.layout / "index.json").read_text())["manifests"][0])
        config: dict[str, Any] = self._blob(manifest["config"])["config"]
        return config

    @property
    def compressed(self) -> int:
        """Bytes of all layers, as they are pulled."""
        manifest = self._blob(json.loads((self.layout / "index.json").read_text())["manifests"][0])
        return sum(layer["size"] for layer in manifest["layers"])

    @property
    def unpacked(self) -> int:
        """Bytes of all files."""
        return sum(path.lstat().st_size for path in (self.bundle / "rootfs").rglob("*"))

    def _blob(self, descriptor: Mapping[str, str]) -> dict[str, Any]:
        blob = self.layout / "blobs" / descriptor["digest"].replace(":", "/")
        found: dict[str, Any] = json.loads(blob.read_text())
        return found


def pack(built: Built, folder: Path) -> Image:
    """The stage as an image, and that unpacked again."""
    layout, bundle = folder / "layout", folder / "bundle"
    image = f"{layout}:identity"
    done(["umoci", "init", "--layout", str(layout)])
    done(["umoci", "new", "--image", image])
    done(["umoci", "insert", "--image", image, str(built.root), "/"])
    config = built.config
    options = {
        "--config.user": [config.user],
        "--config.workingdir": [config.workdir],
        "--config.cmd": config.cmd,
        "--config.entrypoint": config.entrypoint,
        "--config.stopsignal": [config.stop_signal],
        "--config.env": [f"{name}={value}" for name, value in config.env.items()],
        "--config.exposedports": [f"{port}/tcp" for port in config.ports],
        "--config.label": [f"{name}={value}" for name, value in config.labels.items()],
    }
    words = [f"{option}={text}" for option, texts in options.items() for text in texts]
    done(["umoci", "config", "--image", image, *words])
    done(["umoci", "unpack", "--image", image, str(bundle)])
    return Image(layout, bundle)


class Container:
    """One container of an image, confined as compose.yaml confines it, on this host's network."""

    def __init__(
        self,
        image: Image,
        name: str,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] = (),
        mounts: Sequence[Path] = (),
        log: Path,
    ) -> None:
        """`command` goes over the image's own; `mounts` are this host's folders, at their paths."""
        self.name = f"{name}-{os.getpid()}"
        self.log = log
        bundle = image.bundle.parent / self.name
        bundle.mkdir()
        spec = confined(json.loads((image.bundle / "config.json").read_text()), mounts)
        spec["root"]["path"] = str(image.bundle / "rootfs")
        spec["process"]["env"] += [f"{key}={text}" for key, text in environment.items()]
        spec["process"]["args"] = list(command) or spec["process"]["args"]
        (bundle / "config.json").write_text(json.dumps(spec))
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["runc", "run", "--bundle", str(bundle), self.name],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the container, as its user."""
        return run(["runc", "exec", self.name, *command])

    def stop(self, within: float) -> int:
        """SIGTERM, and the exit code; it has to come in time."""
        done(["runc", "kill", self.name, "SIGTERM"])
        return self.process.wait(within)

    def remove(self) -> None:
        """End it, if it has not ended, and leave nothing of it."""
        run(["runc", "delete", "--force", self.name])
        self.process.wait(STOP_WITHIN)


def confined(spec: dict[str, Any], mounts: Sequence[Path]) -> dict[str, Any]:
    """The runtime's configuration with what compose.yaml asks for, and this host's network."""
    spec["root"]["readonly"] = True
    spec["process"] |= {"terminal": False, "noNewPrivileges": True, "capabilities": {}}
    tmpfs = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}
    spec["mounts"].append(tmpfs | {"options": ["nosuid", "nodev", "noexec", "mode=1777"]})
    for path in mounts:
        bind = {"destination": str(path), "type": "bind", "source": str(path)}
        spec["mounts"].append(bind | {"options": ["rbind", "ro"]})
    spaces = spec["linux"]["namespaces"]
    spec["linux"]["namespaces"] = [each for each in spaces if each["type"] != "network"]
    return spec
