"""Where a callback may go: the addresses of its host, looked up once and checked."""

from __future__ import annotations

import ipaddress
import socket
import threading
from queue import Empty, SimpleQueue

from app.domain.errors import Permanent, Transient

# Seconds. A resolver without servers tries for half a minute, and signals do not stop it.
LOOKUP_TIMEOUT = 5.0
# https://www.rfc-editor.org/rfc/rfc6052: an IPv4 address in the last 32 bits.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ReceiverUnavailable(Transient):
    """The receiver cannot be reached, or did not answer 2xx: tried again later."""


class ReceiverRefused(Permanent):
    """NOTIFY_URL leads to an address that is not allowed: check the setting."""


def addresses_of(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The host's addresses, in the resolver's order; the public ones, unless all are allowed.

    Raises ReceiverUnavailable if the name cannot be resolved now, ReceiverRefused if all of its
    addresses are private.
    """
    found = _look_up(host, port)
    allowed = found if allow_private else [address for address in found if is_public(address)]
    if not allowed:
        raise ReceiverRefused(
            "NOTIFY_URL leads to a private address: set NOTIFY_ALLOW_PRIVATE=1 if it is meant"
        )
    return allowed


def is_public(address: str) -> bool:
    """Whether it is an address of the public internet, in any form that carries one."""
    return all(
        # `is_global` accepts multicast groups, and IPv6's obsolete forms of an IPv4 address.
        each.is_global and not each.is_multicast and not _is_obsolete(each)
        for each in _carried(ipaddress.ip_address(address.partition("%")[0]))
    )


def _carried(address: Address) -> list[Address]:
    """The address, or the IPv4 address that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address in NAT64:
        return [ipaddress.IPv4Address(address.packed[-4:])]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    return [address.ipv4_mapped or address]


def _is_obsolete(address: Address) -> bool:
    return address.version == 6 and (address.is_reserved or address.is_site_local)


def _look_up(host: str, port: int) -> list[str]:
    """In a thread of its own: a look-up cannot be interrupted, only abandoned."""
    answer: SimpleQueue[list[str]] = SimpleQueue()
    thread = threading.Thread(target=_resolve, args=(host, port, answer), daemon=True)
    thread.start()
    try:
        found = answer.get(timeout=LOOKUP_TIMEOUT)
    except Empty:
        found = []
    if not found:
        raise ReceiverUnavailable("the receiver's host name cannot be resolved")
    return found


def _resolve(host: str, port: int, answer: SimpleQueue[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    # In the resolver's order, each once.
    answer.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
