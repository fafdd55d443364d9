"""Where a callback may go."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.notifications import addresses
from app.notifications.addresses import (
    NAT64,
    ReceiverRefused,
    ReceiverUnavailable,
    addresses_of,
    is_public,
)

PRIVATE = {
    "loopback": "127.0.0.1",
    "loopback of IPv6": "::1",
    "any": "0.0.0.0",
    "any of IPv6": "::",
    "private 10": "10.1.2.3",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "shared": "100.64.0.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "metadata of IPv6": "fd00:ec2::254",
    "link-local of IPv6": "fe80::1%eth0",
    "site-local": "fec0::1",
    "broadcast": "255.255.255.255",
    "a group": "224.0.0.1",
    "a group of IPv6": "ff02::1",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-mapped metadata": "::ffff:169.254.169.254",
    "IPv4-compatible loopback": "::7f00:1",
    "6to4 loopback": "2002:7f00:1::",
    "NAT64 metadata": "64:ff9b::a9fe:a9fe",
    "documentation": "192.0.2.1",
    "protocols": "192.0.0.8",
    "Oracle's metadata": "192.0.0.192",
    "6to4 relays": "192.88.99.1",
    "Azure's services": "168.63.129.16",
    "IPv4-mapped Azure's services": "::ffff:168.63.129.16",
    "6to4 6to4 relays": "2002:c058:6301::",
    "benchmarks": "198.18.0.1",
    "reserved": "240.0.0.1",
    "documentation of IPv6": "3fff::1",
    "older documentation of IPv6": "2001:db8::1",
    "Teredo": "2001:0:4136:e378::1",
    "local NAT64": "64:ff9b:1::808:808",
    "segment routing": "5f00::1",
    "not given out": "4000::1",
}


def names(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """Whatever is asked for, the resolver gives these."""

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE)
def test_a_name_of_an_address_that_is_not_public_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    names(monkeypatch, address)
    with pytest.raises(ReceiverRefused, match="private address: set NOTIFY_ALLOW_PRIVATE=1"):
        addresses_of("hook.example", 443, allow_private=False)


@pytest.mark.parametrize(
    "literal", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0", "localhost"]
)
def test_no_way_to_write_this_host_gets_through(literal: str) -> None:
    with pytest.raises(ReceiverRefused):
        addresses_of(literal, 80, allow_private=False)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808"],
)
def test_a_public_address_is_allowed_in_whatever_form(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_knows_to_be_private(
    address: IPv4Address | IPv6Address,
) -> None:
    assume(is_public(str(address)))
    assert address.is_global or address in NAT64


def test_of_a_name_with_both_kinds_of_addresses_only_the_public_ones_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, "10.0.0.1", "8.8.8.8", "::1")
    assert addresses_of("hook.example", 443, allow_private=False) == ["8.8.8.8"]


def test_private_addresses_are_used_if_they_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "10.0.0.1", "8.8.8.8", "10.0.0.1")
    assert addresses_of("hook.example", 443, allow_private=True) == ["10.0.0.1", "8.8.8.8"]


def test_a_name_that_is_not_known_now_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "hook.example")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ReceiverUnavailable, match=r"^the receiver's host name cannot be resolved$"):
        addresses_of("hook.example", 443, allow_private=False)


def test_a_name_that_cannot_be_one_is_tried_again_later() -> None:
    with pytest.raises(ReceiverUnavailable):
        addresses_of("a" * 64 + "ä..example", 443, allow_private=False)


def test_a_look_up_that_hangs_does_not_hold_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(addresses, "LOOKUP_TIMEOUT", 0.05)
    with pytest.raises(ReceiverUnavailable):
        addresses_of("hook.example", 443, allow_private=False)
    released.set()
