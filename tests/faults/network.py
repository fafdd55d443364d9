"""Hosts on one switch, each a network namespace of its own; a link is cut by silence.

A frame that may not pass is dropped by the switch: no RST, no carrier lost, as at a firewall or a
broken cable further off. Nobody on this machine but the test can reach any of it, and it is gone
with the process that made it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000  # <linux/sched.h>


class NoNamespaces(Exception):
    """This machine, or this user, can make no network namespaces. The text says why."""


@dataclass(frozen=True)
class Host:
    """A network namespace with an address at the switch; it lives as long as its descriptor."""

    name: str
    number: int
    descriptor: int

    @property
    def address(self) -> str:
        """Where it is at the switch."""
        return f"10.77.0.{self.number}"

    @property
    def hardware(self) -> str:
        """The same of its card."""
        return f"02:77:00:00:00:{self.number:02x}"

    @property
    def path(self) -> str:
        """Where other programs find the namespace."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and all that it starts meanwhile, is on the host."""
        with open("/proc/thread-self/ns/net", "rb") as home:  # noqa: PTH123  # a descriptor
            _enter(self.descriptor)
            try:
                yield
            finally:
                _enter(home.fileno())


class Network:
    """A switch and its hosts."""

    def __init__(self, *names: str) -> None:
        """A host of each name. Raises NoNamespaces."""
        self._switch = Host("switch", 0, _new_namespace())
        self.hosts: dict[str, Host] = {}
        try:
            self._run(self._switch, "ip", "link add switch type bridge", "link set switch up")
            for number, name in enumerate(names, start=1):
                self._add(Host(name, number, _new_namespace()))
            self._introduce()
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    @contextmanager
    def cut(self, *names: str) -> Iterator[None]:
        """None of these hosts hears another of them, for as long as the block lasts."""
        self._isolate(names, "on")
        try:
            yield
        finally:
            self._isolate(names, "off")

    def close(self) -> None:
        """Forget the namespaces: each ends with the last process in it."""
        for host in (self._switch, *self.hosts.values()):
            with suppress(OSError):
                os.close(host.descriptor)
        self.hosts.clear()

    def _isolate(self, names: tuple[str, ...], state: str) -> None:
        # Isolated ports hear all others, but not one another.
        orders = (f"link set dev {self[name].name} isolated {state}" for name in names)
        self._run(self._switch, "bridge", *orders)

    def _add(self, host: Host) -> None:
        self.hosts[host.name] = host
        self._run(
            self._switch,
            "ip",
            f"link add {host.name} type veth"
            f" peer name eth0 address {host.hardware} netns {host.path}",
            f"link set {host.name} master switch",
            f"link set {host.name} up",
        )
        self._run(
            host,
            "ip",
            f"address add {host.address}/24 dev eth0",
            "link set lo up",
            "link set eth0 up",
        )

    def _introduce(self) -> None:
        """Hosts know one another's cards: else one that is cut off is soon known to be away."""
        for host in self.hosts.values():
            entries = (
                f"neigh replace {other.address} lladdr {other.hardware} dev eth0 nud permanent"
                for other in self.hosts.values()
                if other is not host
            )
            self._run(host, "ip", *entries)

    def _run(self, host: Host, program: str, *orders: str) -> None:
        try:
            with host.entered():
                done = subprocess.run(
                    [program, "-batch", "-"],
                    input="\n".join(orders),
                    capture_output=True,
                    text=True,
                    check=False,
                )
        except FileNotFoundError:
            raise NoNamespaces(f"{program} is not installed (Debian's iproute2)") from None
        if done.returncode:
            raise NoNamespaces(f"{program} on {host.name}: {done.stderr.strip()}")


def _new_namespace() -> int:
    """The descriptor of a network namespace that nobody is in."""
    found: list[int | OSError] = []

    def leave() -> None:
        try:
            _call(LIBC.unshare(CLONE_NEWNET))
            found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=leave)  # which alone is in it, and ends
    thread.start()
    thread.join()
    (answer,) = found
    if isinstance(answer, OSError):
        raise NoNamespaces(f"no network namespace can be made: {answer.strerror}")
    return answer


def _enter(descriptor: int) -> None:
    _call(LIBC.setns(descriptor, CLONE_NEWNET))


def _call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
