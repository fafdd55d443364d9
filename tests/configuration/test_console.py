"""The console's variables, good and bad, and what follows from them together."""

from __future__ import annotations

import pytest

from app.configuration.passwords import hash_password, password_matches
from app.configuration.settings import Settings
from app.domain.errors import Misconfigured

PLANTED = "PLANTEDVALUE"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g"
SECRET = "secret-of-the-proxy"
PROXY = {
    "CONSOLE_PROXY_HEADER": "X-Forwarded-Email",
    "CONSOLE_PROXY_SECRET": SECRET,
    "CONSOLE_PROXY_USERS": "anna@example.com:operate",
}


def problems(**environment: str) -> list[str]:
    with pytest.raises(Misconfigured) as wrong:
        Settings.from_environment(environment)
    return wrong.value.problems


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def test_people_are_named_in_lines_or_in_one_line() -> None:
    for space in ("\n", " ", "  \n\t"):
        users = read(CONSOLE_USERS=f"anna:operate:{HASH}{space}b.en+1@x.org:read:{HASH}")
        assert [(user.name, user.role) for user in users.console_users] == [
            ("anna", "operate"),
            ("b.en+1@x.org", "read"),
        ]
        assert {str(user.hash) for user in users.console_users} == {HASH}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("anna", "is not name:role:hash"),
        (f"anna:{HASH}", "is not name:role:hash"),
        (f"an/na{PLANTED}:read:{HASH}", "has a name that is not of"),
        (f":read:{HASH}", "has a name that is not of"),
        (f"{'x' * 65}:read:{HASH}", "has a name that is not of"),
        (f"anna:{PLANTED}:{HASH}", "has a role that is not read, operate or redact"),
        (f"anna:read:{PLANTED}", "has a hash that is not argon2id's"),
        ("anna:read:=19=19456,t=2,p=1", "has a hash that is not argon2id's"),  # a shell's doing
        (f"anna:read:{HASH}:{PLANTED}", "has a hash that is not argon2id's"),
        (f"anna:read:{HASH.replace('argon2id', 'argon2i')}", "has a hash that is not argon2id's"),
        (f"anna:read:{HASH.replace('19456', '9999999')}", "takes more than 256 MiB"),
    ],
)
def test_a_wrong_entry_is_one_line_that_does_not_quote_it(entry: str, problem: str) -> None:
    (line,) = problems(CONSOLE_USERS=entry)
    assert line.startswith("CONSOLE_USERS entry 1 ")
    assert problem in line
    assert PLANTED not in line
    assert "\n" not in line


def test_each_wrong_entry_has_a_line() -> None:
    lines = problems(CONSOLE_USERS=f"anna:read:x ben:read:{HASH} carl:boss:{HASH}")
    assert [line[: len("CONSOLE_USERS entry 1")] for line in lines] == [
        "CONSOLE_USERS entry 1",
        "CONSOLE_USERS entry 3",
    ]


def test_nobody_is_named_twice() -> None:
    lines = problems(CONSOLE_USERS=f"anna:read:{HASH} anna:redact:{HASH}")
    assert lines == ["CONSOLE_USERS names a person twice"]


def test_the_console_is_on_where_people_are_named_and_not_switched_off() -> None:
    people = f"anna:read:{HASH}"
    assert not read().console
    assert read(CONSOLE_USERS=people).console
    assert read(**PROXY).console
    assert read(CONSOLE_USERS=people, CONSOLE="1").console
    assert not read(CONSOLE_USERS=people, CONSOLE="0").console


def test_a_console_that_nobody_could_sign_in_to_is_told() -> None:
    (line,) = problems(CONSOLE="1")
    assert line.startswith("CONSOLE is 1, and nobody could sign in")


@pytest.mark.parametrize("name", PROXY)
def test_a_proxy_needs_all_three(name: str) -> None:
    lines = problems(**{each: value for each, value in PROXY.items() if each != name})
    assert [line.split()[0] for line in lines] == [name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CONSOLE_PROXY_HEADER", f"X {PLANTED}"),
        ("CONSOLE_PROXY_HEADER", f"X:{PLANTED}"),
        ("CONSOLE_PROXY_SECRET", "short"),
        ("CONSOLE_PROXY_SECRET", f"{PLANTED}{PLANTED}é"),
        ("CONSOLE_PROXY_USERS", PLANTED),
        ("CONSOLE_PROXY_USERS", f"anna:{PLANTED}"),
        ("CONSOLE_PROXY_USERS", "a:read a:operate"),
        ("CONSOLE", "yes"),
        ("CONSOLE_INSECURE_COOKIE", "true"),
    ],
)
def test_a_bad_value_is_one_line_that_does_not_quote_it(name: str, text: str) -> None:
    (line,) = problems(**{**PROXY, name: text})
    assert line.startswith(f"{name} ")
    assert PLANTED not in line


def test_hashes_and_the_proxys_secret_are_masked_when_printed() -> None:
    settings = read(CONSOLE_USERS=f"anna:read:{HASH}", **PROXY)
    assert HASH not in repr(settings)
    assert SECRET not in repr(settings)


def test_a_hash_that_is_made_here_is_taken_and_is_that_of_its_password() -> None:
    (user,) = read(CONSOLE_USERS=f"anna:read:{hash_password('correct horse')}").console_users
    assert password_matches(str(user.hash), "correct horse")
    assert not password_matches(str(user.hash), "correct horses")
    assert not password_matches(HASH, "correct horse")
