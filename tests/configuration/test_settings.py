"""Every variable, good and bad; all that is wrong is named at once, and no value with it."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Secret

from app.configuration.credentials import SCOPES
from app.configuration.settings import LEDGER_NEEDS, Settings
from app.domain.errors import Misconfigured
from tests.support.cli import ROOT

PLANTED = "PLANTEDVALUE"
TOKEN = "0123456789abcdef"


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def problems(needed: tuple[str, ...] = (), **environment: str) -> list[str]:
    with pytest.raises(Misconfigured) as wrong:
        Settings.from_environment(environment, needed=needed)
    return wrong.value.problems


def problems_of(environment: dict[str, str]) -> list[str]:
    """What is wrong; nothing if all can be read."""
    try:
        Settings.from_environment(environment)
    except Misconfigured as wrong:
        return wrong.problems
    return []


def plain(value: Any) -> Any:
    """Secrets as their text."""
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    return str(value) if isinstance(value, Secret) else value


GOOD = [
    ("STRIPE_WEBHOOK_SECRET", "whsec_a", "webhook_secrets", (("whsec_a", None),)),
    (
        "STRIPE_WEBHOOK_SECRET",
        " whsec_a , test:whsec_b,live:whsec_c,",
        "webhook_secrets",
        (("whsec_a", None), ("whsec_b", False), ("whsec_c", True)),
    ),
    ("STRIPE_API_KEY", "sk_test_1", "stripe_api_key", "sk_test_1"),
    ("STRIPE_API_KEY", "rk_live_1", "stripe_api_key", "rk_live_1"),
    ("STRIPE_API_BASE", "http://127.0.0.1:12111/", "stripe_api_base", "http://127.0.0.1:12111"),
    ("STRIPE_API_BASE", "http://localhost:12111", "stripe_api_base", "http://localhost:12111"),
    ("STRIPE_API_BASE", "http://[::1]:12111", "stripe_api_base", "http://[::1]:12111"),
    ("STRIPE_API_BASE", "https://stripe.example/", "stripe_api_base", "https://stripe.example"),
    ("STRIPE_API_BASE", "http://sandbox:12111", "stripe_api_base", "http://sandbox:12111"),
    ("REDIS_URL", "redis://host", "redis_url", "redis://host"),
    ("REDIS_URL", "redis+sentinel://a,b/queue", "redis_url", "redis+sentinel://a,b/queue"),
    ("REDIS_URL", "rediss://:pa%40ss@host:6380/1", "redis_url", "rediss://:pa%40ss@host:6380/1"),
    ("REDIS_URL", "unix:///run/redis.sock?db=1", "redis_url", "unix:///run/redis.sock?db=1"),
    ("REDIS_TLS_VERIFY", "0", "redis_verify", False),
    ("REDIS_TLS_VERIFY", "1", "redis_verify", True),
    ("DATABASE_URL", "sqlite:////tmp/x.db", "database_url", "sqlite:////tmp/x.db"),
    ("DATABASE_URL", "postgres://u:p@h:5432/d", "database_url", "postgres://u:p@h:5432/d"),
    ("DATABASE_URL", "postgresql://u:p#/%40@h/d", "database_url", "postgresql://u:p#/%40@h/d"),
    ("DATABASE_URL", "postgresql+psycopg://h/d", "database_url", "postgresql+psycopg://h/d"),
    (
        "API_TOKENS",
        f"{TOKEN},{TOKEN}2",
        "api_tokens",
        (("#1", TOKEN, SCOPES), ("#2", f"{TOKEN}2", SCOPES)),
    ),
    (
        "API_TOKENS",
        f"app:{TOKEN},app:{TOKEN}2:read, dpo.1:{TOKEN}3:read+redact",
        "api_tokens",
        (
            ("app", TOKEN, SCOPES),
            ("app", f"{TOKEN}2", frozenset({"read"})),
            ("dpo.1", f"{TOKEN}3", frozenset({"read", "redact"})),
        ),
    ),
    (
        "REFERENCE_METADATA_KEYS",
        "user_id, userId",
        "reference_metadata_keys",
        ("user_id", "userId"),
    ),
    ("PURPOSE_METADATA_KEY", "what for", "purpose_metadata_key", "what for"),
    ("MAX_ATTEMPTS", "3", "max_attempts", 3),
    ("REDACT_AFTER_DAYS", "30", "redact_after_days", 30),
    ("REVERIFY_AFTER_DAYS", "365", "reverify_after_days", 365),
    ("PORT", "5000", "port", 5000),
    ("WEB_CONCURRENCY", "2", "web_concurrency", 2),
    ("EVENT_WORKERS", "4", "event_workers", 4),
    ("BATCH", "20", "batch", 20),
    ("LEASE_SECONDS", "90", "lease_seconds", 90),
    ("LOG_FORMAT", "text", "log_format", "text"),
    ("DURABILITY", "replica", "durability", "replica"),
]
BAD = [
    ("STRIPE_WEBHOOK_SECRET", PLANTED),
    ("STRIPE_WEBHOOK_SECRET", f"whsec_a,{PLANTED}"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_"),
    ("STRIPE_WEBHOOK_SECRET", ","),
    ("STRIPE_WEBHOOK_SECRET", f"whsec_{PLANTED}é"),
    ("STRIPE_WEBHOOK_SECRET", f"prod:whsec_{PLANTED}"),
    ("STRIPE_WEBHOOK_SECRET", f":whsec_{PLANTED}"),
    ("STRIPE_WEBHOOK_SECRET", f"live:whsec_{PLANTED},test:whsec_{PLANTED}"),
    ("STRIPE_WEBHOOK_SECRET", f"live:whsec_{PLANTED},whsec_{PLANTED}"),
    ("STRIPE_API_KEY", f"pk_test_{PLANTED}"),
    ("STRIPE_API_KEY", f"sk_test_{PLANTED} {PLANTED}"),
    ("STRIPE_API_KEY", "sk_test_"),
    ("STRIPE_API_BASE", f"ftp://{PLANTED}"),
    ("STRIPE_API_BASE", PLANTED),
    ("STRIPE_API_BASE", "https://"),
    ("STRIPE_API_BASE", f"https://host:{PLANTED}"),
    ("STRIPE_API_BASE", f"https://{PLANTED}\N{ACCOUNT OF}"),
    ("STRIPE_API_BASE", f"https://[{PLANTED}"),
    ("STRIPE_API_BASE", f"http://{PLANTED}.example"),
    ("STRIPE_API_BASE", "http://10.0.0.1:12111"),
    ("STRIPE_API_BASE", "http://0.0.0.0:12111"),
    ("STRIPE_API_BASE", "http://localhost.example"),
    ("STRIPE_API_BASE", "http://134744072:12111"),
    ("STRIPE_API_BASE", "http://0x08080808"),
    ("STRIPE_API_BASE", "http://[2001:db8::1]"),
    ("REDIS_URL", f"http://:{PLANTED}@host"),
    ("REDIS_URL", f"redis://:{PLANTED}@host:port"),
    ("REDIS_URL", f"redis://:{PLANTED}#x@host"),
    ("REDIS_URL", f"redis://:{PLANTED}\N{ACCOUNT OF}@host"),
    ("REDIS_URL", f"redis://[{PLANTED}"),
    ("REDIS_URL", PLANTED),
    ("REDIS_URL", f"redis://host/0?nosuch={PLANTED}"),
    ("REDIS_URL", f"redis+sentinel://:{PLANTED}@host:26379"),
    ("REDIS_URL", f"redis+sentinel://:{PLANTED}@host:port/queue"),
    ("REDIS_URL", f"redis+sentinel://host,/queue?sentinel_password={PLANTED}"),
    ("REDIS_URL", f"redis+sentinel://host/queue?nosuch={PLANTED}"),
    ("REDIS_TLS_VERIFY", "yes"),
    ("DATABASE_URL", f"mysql://u:{PLANTED}@h/d"),
    ("DATABASE_URL", f"postgresql://u:{PLANTED}@h:port/d"),
    ("DATABASE_URL", f"POSTGRES://u:{PLANTED}@h/d"),
    ("DATABASE_URL", PLANTED),
    ("DATABASE_URL", f"sqlite://user:{PLANTED}@host/x"),
    ("DATABASE_URL", f"postgres://host/d?nosuch={PLANTED}"),
    ("API_TOKENS", "short"),
    ("API_TOKENS", f"{TOKEN},short"),
    ("API_TOKENS", f"{PLANTED}é{PLANTED}"),
    ("API_TOKENS", f"app:{PLANTED}"),
    ("API_TOKENS", f"an {PLANTED}:{TOKEN}"),
    ("API_TOKENS", f"app:{TOKEN}:{PLANTED}"),
    ("API_TOKENS", f"app:{TOKEN}:"),
    ("API_TOKENS", f"app:{TOKEN}:read:{PLANTED}"),
    ("API_TOKENS", f"{TOKEN}{PLANTED},app:{TOKEN}{PLANTED}"),
    ("PURPOSE_METADATA_KEY", f"a[{PLANTED}]"),
    ("PURPOSE_METADATA_KEY", f"{'x' * 41}{PLANTED}"),
    ("MAX_ATTEMPTS", "0"),
    ("MAX_ATTEMPTS", "-1"),
    ("MAX_ATTEMPTS", "1.5"),
    ("MAX_ATTEMPTS", "\N{ARABIC-INDIC DIGIT THREE}"),
    ("MAX_ATTEMPTS", "9" * 5_000),
    ("REDACT_AFTER_DAYS", "0"),
    ("REDACT_AFTER_DAYS", "soon"),
    ("REVERIFY_AFTER_DAYS", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("WEB_CONCURRENCY", "0"),
    ("WEB_CONCURRENCY", "65"),
    ("EVENT_WORKERS", "0"),
    ("BATCH", "101"),
    ("LEASE_SECONDS", "1"),
    ("LOG_FORMAT", "JSON"),
    ("DURABILITY", "always"),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_a_good_value_is_read(name: str, text: str, field: str, value: object) -> None:
    assert plain(getattr(read(**{name: text}), field)) == value


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_one_line_that_does_not_quote_it(name: str, text: str) -> None:
    (problem,) = problems_of({name: text})
    assert problem.startswith(f"{name} ")
    assert "\n" not in problem
    assert PLANTED not in problem


@pytest.mark.parametrize("name", sorted({name for name, *_ in GOOD}))
@pytest.mark.parametrize("text", ["", "  ", "\n"], ids=repr)
def test_an_empty_value_is_as_if_not_set(name: str, text: str) -> None:
    assert plain(dataclasses.astuple(read(**{name: text}))) == plain(dataclasses.astuple(read()))


@pytest.mark.parametrize("text", [None, "", "  "], ids=repr)
def test_what_a_process_needs_has_to_be_set(text: str | None) -> None:
    environment = {} if text is None else {"STRIPE_WEBHOOK_SECRET": text}
    assert problems(("STRIPE_WEBHOOK_SECRET",), **environment) == [
        "STRIPE_WEBHOOK_SECRET is not set: the signing secret of the webhook endpoint (whsec_…)"
    ]


def test_on_a_dyno_a_database_that_is_needed_and_not_set_is_named_once() -> None:
    (problem,) = problems(LEDGER_NEEDS, DYNO="web.1")
    assert problem.startswith("DATABASE_URL is not set: ")


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = dict(BAD)
    assert {line.split()[0] for line in problems(("SUBSCRIBER",), **wrong)} == {
        "SUBSCRIBER",
        *wrong,
    }


def test_the_message_of_the_error_has_every_line() -> None:
    with pytest.raises(Misconfigured) as wrong:
        read(PORT="x", LOG_FORMAT="x")
    assert str(wrong.value) == "; ".join(wrong.value.problems)


def test_secrets_are_masked_when_printed() -> None:
    settings = read(
        STRIPE_WEBHOOK_SECRET=f"whsec_{PLANTED}",
        STRIPE_API_KEY=f"sk_test_{PLANTED}",
        REDIS_URL=f"redis://:{PLANTED}@host",
        DATABASE_URL=f"postgres://u:{PLANTED}@host/d",
        API_TOKENS=f"{PLANTED}{PLANTED}",
    )
    for printed in (repr(settings), str(settings), f"{settings}", str([settings])):
        assert PLANTED not in printed


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("variable", ["STRIPE_API_KEY", "STRIPE_RESTRICTED_KEY"])
def test_a_live_key_is_sent_to_no_other_host_in_clear(variable: str) -> None:
    key = {variable: f"rk_live_{PLANTED}"}
    (problem,) = problems_of({"STRIPE_API_BASE": "http://sandbox:12111", **key})
    assert problem.startswith("STRIPE_API_BASE ")
    assert PLANTED not in problem
    for allowed in ("https://sandbox:12111", "http://127.0.0.1:12111"):
        assert problems_of({"STRIPE_API_BASE": allowed, **key}) == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, "is not set, and SQLite would be"),
        ("", "is not set, and SQLite would be"),
        ("sqlite:///identity.db", "is SQLite, which is"),
        ("sqlite://", "is SQLite, which is"),
    ],
)
def test_a_dyno_refuses_sqlite(url: str | None, told: str) -> None:
    (problem,) = problems_of({"DYNO": "web.1"} | ({} if url is None else {"DATABASE_URL": url}))
    assert problem == f"DATABASE_URL {told} lost with the dyno: add a PostgreSQL"


def test_a_dyno_takes_postgresql() -> None:
    assert plain(read(DYNO="web.1", DATABASE_URL="postgres://u:p@h/d").database_url)


def test_a_bad_database_on_a_dyno_is_named_once() -> None:
    assert len(problems(DYNO="web.1", DATABASE_URL=PLANTED)) == 1


def test_an_empty_dyno_is_none() -> None:
    assert plain(read(DYNO="").database_url).startswith("sqlite")


@pytest.mark.parametrize(
    ("key", "livemode"),
    [("", False), ("sk_test_1", False), ("rk_test_1", False), ("sk_live_1", True)],
)
def test_the_mode_is_that_of_the_api_key(key: str, livemode: bool) -> None:
    assert read(STRIPE_API_KEY=key).livemode is livemode


def test_the_policy_says_what_handlers_may_ask_for() -> None:
    assert not read().policy.recheck
    policy = read(STRIPE_API_KEY="sk_test_1", MAX_ATTEMPTS="3").policy
    assert (policy.recheck, policy.max_attempts) == (True, 3)


@given(name=st.sampled_from(sorted({name for name, *_ in GOOD})), text=st.text(max_size=40))
def test_no_value_is_another_error_than_misconfigured(name: str, text: str) -> None:
    for prefix in ("", "redis://", "postgres://", "http://", "sqlite://"):
        assert len(problems_of({name: prefix + text})) <= 1


@pytest.mark.parametrize("length", [24, 25, 26, 32])
@pytest.mark.parametrize("padded", [True, False])
def test_a_notify_secret_of_any_length_is_taken_with_and_without_padding(
    length: int, padded: bool
) -> None:
    encoded = base64.b64encode(bytes(length)).decode()
    secret = "whsec_" + (encoded if padded else encoded.rstrip("="))
    settings = Settings.from_environment({"NOTIFY_SECRET": secret})
    assert [str(one) for one in settings.notify_secrets] == [secret]


def test_a_slash_at_the_end_of_the_callback_is_kept() -> None:
    url, secret = "https://team.example/hook/", "whsec_" + base64.b64encode(bytes(32)).decode()
    settings = Settings.from_environment({"NOTIFY_URL": url, "NOTIFY_SECRET": secret})
    assert settings.notify_url == url


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_????????????????????????????????", "c" * 40]
)
def test_a_notify_secret_that_is_none_is_told(secret: str) -> None:
    with pytest.raises(Misconfigured, match="NOTIFY_SECRET"):
        Settings.from_environment({"NOTIFY_SECRET": secret})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("STRIPE_WEBHOOK_SECRET", "whsec_…"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_..."),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a,live:whsec_…"),
        ("STRIPE_API_KEY", "sk_test_…"),
        ("STRIPE_API_KEY", "rk_live_..."),
        ("STRIPE_RESTRICTED_KEY", "rk_test_…"),
        ("NOTIFY_SECRET", "whsec_…"),
    ],
)
def test_a_placeholder_that_was_pasted_from_the_docs_is_told_as_one(name: str, text: str) -> None:
    (problem,) = problems_of({name: text})
    assert problem.startswith(f"{name} holds a placeholder")


@pytest.mark.parametrize(
    ("name", "text"), [("STRIPE_WEBHOOK_SECRET", "whsec_…"), ("STRIPE_API_KEY", "sk_test_…")]
)
def test_what_the_docs_write_in_a_secrets_place_is_refused(name: str, text: str) -> None:
    assert text in (ROOT / "docs/how-to/sessions.md").read_text("utf-8")
    assert problems_of({name: text})
