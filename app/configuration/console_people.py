"""The people of the console as the environment names them. No message quotes what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import unquote

from starlette.datastructures import Secret

from app.configuration.credentials import MIN_TOKEN
from app.configuration.variables import Wrong

# What a person may do; each role may do what the ones before it may.
ROLES = ("read", "operate", "redact")
# A user name or an e-mail address; nothing that a cookie, a header or a log would take for more.
PERSON = re.compile(r"[A-Za-z0-9_.@+-]{1,64}\Z")
PERSON_FORM = "1 to 64 letters, digits and _.@+-"
# As `identity console password` writes it: memory in KiB, passes, lanes, salt, hash.
ARGON2 = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}\Z"
)
MAX_MEMORY_KIB = 256 * 1024
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens, without what nobody puts into a name
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


class ConsoleUser(NamedTuple):
    """A person who signs in with a password."""

    name: str
    role: str
    hash: Secret  # argon2id's


class ProxyUser(NamedTuple):
    """A person whom the proxy before the console has signed in."""

    name: str
    role: str


class ClaimedRole(NamedTuple):
    """What a provider says of a person, and the role that it gives."""

    name: str  # a value of the claim
    role: str


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


def read_console_users(text: str) -> tuple[ConsoleUser, ...]:
    """`name:role:hash name:role:hash`. Raises Wrong with a line for each entry that is wrong."""
    return _read_entries(text, _read_console_user)


def read_proxy_users(text: str) -> tuple[ProxyUser, ...]:
    """`name:role name:role`. Raises Wrong with a line for each entry that is wrong."""
    return _read_entries(text, _read_proxy_user)


def read_claimed_roles(text: str) -> tuple[ClaimedRole, ...]:
    """`value:role value:role`. Raises Wrong with a line for each entry that is wrong."""
    return _read_entries(text, _read_claimed_role, "a value")


def read_header_name(text: str) -> str:
    """A header's name in lower case. Raises ValueError, which says what is wrong."""
    if not HEADER_NAME.match(text):
        raise ValueError("has to be the name of a header, of letters, digits and -")
    return text.lower()


def read_proxy_secret(text: str) -> Secret:
    """What the proxy sends with each request. Raises ValueError, which says what is wrong."""
    if len(text) < MIN_TOKEN or not text.isascii() or not text.isprintable():
        raise ValueError(f"has to be {MIN_TOKEN} or more printable ASCII characters")
    return Secret(text)


def _read_entries(text: str, read: Callable[[str], T], what: str = "a person") -> tuple[T, ...]:
    found: list[T] = []
    problems: list[str] = []
    for place, entry in enumerate(text.split(), start=1):
        try:
            found.append(read(entry))
        except ValueError as error:
            problems.append(f"entry {place} {error}")
    problems += _doubles(found, what)
    if problems:
        raise Wrong(problems)
    return tuple(found)


def _doubles(found: Sequence[_Named], what: str) -> list[str]:
    names = [one.name for one in found]
    return [] if len(set(names)) == len(names) else [f"names {what} twice"]


def _read_console_user(entry: str) -> ConsoleUser:
    name, _, rest = entry.partition(":")
    role, _, hash = rest.partition(":")
    if not hash:
        raise ValueError("is not name:role:hash, as `console password` writes it")
    _check(name, role)
    match = ARGON2.match(hash)
    if match is None:
        raise ValueError(
            "has a hash that is not argon2id's: take the line that `console password` writes, in "
            "single quotes, so that no shell replaces what follows a $"
        )
    if int(match[1]) > MAX_MEMORY_KIB:
        raise ValueError(f"has a hash that takes more than {MAX_MEMORY_KIB // 1024} MiB to check")
    return ConsoleUser(name, role, Secret(hash))


def _read_proxy_user(entry: str) -> ProxyUser:
    name, _, role = entry.rpartition(":")
    if not name:
        raise ValueError("is not name:role")
    _check(name, role)
    return ProxyUser(name, role)


def _read_claimed_role(entry: str) -> ClaimedRole:
    value, _, role = entry.rpartition(":")
    if not value:
        raise ValueError("is not value:role")
    _check_role(role)
    return ClaimedRole(unquote(value), role)


def _check(name: str, role: str) -> None:
    if not PERSON.match(name):
        raise ValueError(f"has a name that is not of {PERSON_FORM}")
    _check_role(role)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise ValueError("has a role that is not read, operate or redact")
