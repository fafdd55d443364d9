"""Where a callback may go: the addresses of its host, looked up once and checked."""

from __future__ import annotations

import ipaddress
import socket
import threading
from queue import Empty, SimpleQueue

from app.domain.errors import Permanent, Transient

# Seconds. A resolver without servers tries for half a minute, and signals do not stop it.
LOOKUP_TIMEOUT = 5.0
# What IANA's registries do not give to the public internet: they say more than `ipaddress`, whose
# `is_global` changes with the version of Python, and which takes groups for public.
# https://www.iana.org/assignments/iana-ipv4-special-registry
NOT_PUBLIC_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, on each of its hosts
        "169.254.0.0/16",  # link-local; the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, which are no more
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # groups
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Of IPv6 only this is given out: https://www.iana.org/assignments/ipv6-address-space
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
# https://www.iana.org/assignments/iana-ipv6-special-registry
NOT_PUBLIC_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
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
    found = _carried(ipaddress.ip_address(address.partition("%")[0]))
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in NOT_PUBLIC_IPV4)
    return found in PUBLIC_IPV6 and not any(found in network for network in NOT_PUBLIC_IPV6)


def _carried(address: Address) -> Address:
    """The IPv4 address that it carries; the address itself if it carries none."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.sixtofour or address.ipv4_mapped or address


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
