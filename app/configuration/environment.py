"""Every environment variable, described once: its field, what it takes, its default, its meaning.

The settings are read by it, and docs/reference/settings.md is written from it
(`make docs-reference`). A variable more is an entry more, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Secret

from app.configuration.credentials import (
    ApiToken,
    SigningSecret,
    read_api_key,
    read_api_tokens,
    read_notify_secrets,
    read_signing_secrets,
    split_list,
)
from app.configuration.extras import read_endpoint, read_sentry_dsn, read_true
from app.configuration.variables import (
    CALLBACK_URL,
    DATABASE_URL,
    FUNCTION,
    HOST,
    METADATA_KEY,
    REDIS_URL,
    STREAM_NAME,
    STRIPE_ADDRESS,
    SWITCH,
    Form,
    choice,
    variable,
    whole,
)

# The groups, which are headings of the page.
STRIPE = "Stripe"
STORES = "Redis and the database"
API = "Access to the API"
RULES = "Rules"
NOTIFICATIONS = "Notifications"
PROCESSES = "Processes and logs"
TELEMETRY = "Traces and reports of bugs"

SIGNING_SECRETS = Form("`whsec_…`, several comma-separated", read_signing_secrets)
API_KEY = Form("`sk_…`, `rk_…` or `sk_org_…`", read_api_key)
TOKENS = Form(
    "`token`, `name:token` or `name:token:scopes`, several comma-separated", read_api_tokens
)
NOTIFY_SECRETS = Form(
    "`whsec_` and 24 bytes or more in base64, several comma-separated", read_notify_secrets
)
ENDPOINT = Form("an `https://` or `http://` address", read_endpoint)
TRUE = Form("`true` or `false`", read_true)
SENTRY_DSN = Form("`https://KEY@HOST/PROJECT`", read_sentry_dsn)
METADATA_KEYS = Form("metadata keys, comma-separated", split_list)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says. Secrets are masked when printed."""

    webhook_secrets: tuple[SigningSecret, ...] = variable(
        "STRIPE_WEBHOOK_SECRET",
        SIGNING_SECRETS,
        (),
        "The endpoint's signing secret. List two while you roll one. After `live:` or `test:`, a "
        "secret signs for that mode only.",
        group=STRIPE,
        needed_by=("web",),
    )
    stripe_api_key: Secret | None = variable(
        "STRIPE_API_KEY",
        API_KEY,
        None,
        "A secret or restricted key, or an organization's. Its mode is the mode that commands and "
        "calls are about unless they name one.",
        group=STRIPE,
        if_unset="Stripe is never called",
    )
    stripe_restricted_key: Secret | None = variable(
        "STRIPE_RESTRICTED_KEY",
        API_KEY,
        None,
        "A restricted key for `expand[]` alone, if you keep the permission to read verified data "
        "on a key of its own.",
        group=STRIPE,
        if_unset="`STRIPE_API_KEY` is used",
    )
    stripe_api_base: str = variable(
        "STRIPE_API_BASE",
        STRIPE_ADDRESS,
        "https://api.stripe.com",
        "Where Stripe's API is. Change it only to use the local Stripe.",
        group=STRIPE,
    )
    redis_url: Secret = variable(
        "REDIS_URL",
        REDIS_URL,
        Secret("redis://127.0.0.1:6379/0"),
        "The Redis or Valkey that holds the queue; cluster mode is refused. For TLS and Sentinel "
        "see [Redis or Valkey](../how-to/redis.md).",
        group=STORES,
    )
    redis_verify: bool = variable(
        "REDIS_TLS_VERIFY",
        SWITCH,
        True,
        "`0` accepts any TLS certificate. Heroku's Redis has a self-signed one.",
        group=STORES,
    )
    durability: str = variable(
        "DURABILITY",
        choice("disk", "replica", "memory"),
        "disk",
        "What a 200 to Stripe promises: that Redis has the event on its disk, also at a replica, "
        "or in memory. See [Durability](../explanation/durability.md).",
        group=STORES,
    )
    database_url: Secret = variable(
        "DATABASE_URL",
        DATABASE_URL,
        # Holds nothing and leaves no file: of two processes with a default file each, one would
        # read what the other never wrote.
        Secret("sqlite://"),
        "The ledger. PostgreSQL may be several hosts, `one:5432,two:5432`, of which the one that "
        "takes writes is used with `?target_session_attrs=read-write`. SQLite is for one host; on "
        "Heroku (`DYNO` is set) it is refused, because a dyno's disk is lost with the dyno.",
        group=STORES,
        if_unset="none",
        needed_by=("web", "worker", "release"),
    )
    api_tokens: tuple[ApiToken, ...] = variable(
        "API_TOKENS",
        TOKENS,
        (),
        "Bearer tokens for `/v1` and `/metrics`, each of 16 characters or more. Scopes are `read`, "
        "`write` and `redact`, joined by `+`; a token that names none has all three.",
        group=API,
        if_unset="every call is refused",
    )
    reference_metadata_keys: tuple[str, ...] = variable(
        "REFERENCE_METADATA_KEYS",
        METADATA_KEYS,
        (),
        "Where to look for the user's id in a session's metadata if `client_reference_id` is "
        "empty. The first key that is present counts.",
        group=RULES,
        if_unset="metadata is not looked at",
    )
    purpose_metadata_key: str | None = variable(
        "PURPOSE_METADATA_KEY",
        METADATA_KEY,
        None,
        "The metadata key that names what a session is for, if your users are verified for several "
        "things.",
        group=RULES,
        if_unset="one purpose",
    )
    max_attempts: int | None = variable(
        "MAX_ATTEMPTS",
        whole(1, 1000),
        None,
        "After this many failed attempts, a user's open sessions are canceled and no other is "
        "started.",
        group=RULES,
        if_unset="no limit",
    )
    redact_after_days: int | None = variable(
        "REDACT_AFTER_DAYS",
        whole(1, 3650),
        None,
        "Redact a session at Stripe this many days after it was verified, last failed or was "
        "canceled.",
        group=RULES,
        if_unset="nothing is redacted by itself",
    )
    reverify_after_days: int | None = variable(
        "REVERIFY_AFTER_DAYS",
        whole(1, 3650),
        None,
        "A verification expires this many days after it was made.",
        group=RULES,
        if_unset="verifications do not expire",
    )
    notify_url: str | None = variable(
        "NOTIFY_URL",
        CALLBACK_URL,
        None,
        "Where changes are sent. It needs `NOTIFY_SECRET`.",
        group=NOTIFICATIONS,
        if_unset="no callback",
    )
    notify_secrets: tuple[Secret, ...] = variable(
        "NOTIFY_SECRET",
        NOTIFY_SECRETS,
        (),
        "Signs what is sent to `NOTIFY_URL`. With two, each message has both signatures.",
        group=NOTIFICATIONS,
        if_unset="none, and `NOTIFY_URL` needs one",
    )
    notify_allow_private: bool = variable(
        "NOTIFY_ALLOW_PRIVATE",
        SWITCH,
        False,
        "`1` lets `NOTIFY_URL` lead to a private address.",
        group=NOTIFICATIONS,
    )
    subscriber: str | None = variable(
        "SUBSCRIBER",
        FUNCTION,
        None,
        "A function of yours that an effects worker calls with each change.",
        group=NOTIFICATIONS,
        if_unset="no function",
    )
    notify_stream: str | None = variable(
        "NOTIFY_STREAM",
        STREAM_NAME,
        None,
        "A Redis stream that changes are appended to, and kept in for seven days.",
        group=NOTIFICATIONS,
        if_unset="no stream",
    )
    host: str = variable(
        "HOST",
        HOST,
        "0.0.0.0",  # noqa: S104  # a dyno's router is another host
        "The address that web listens on. `0.0.0.0` is all of this host's.",
        group=PROCESSES,
    )
    port: int = variable(
        "PORT", whole(0, 65535), 8000, "The port that web listens on.", group=PROCESSES
    )
    web_concurrency: int = variable(
        "WEB_CONCURRENCY", whole(1, 64), 1, "Web processes.", group=PROCESSES
    )
    event_workers: int = variable(
        "EVENT_WORKERS", whole(1, 64), 2, "Event workers in one `worker`.", group=PROCESSES
    )
    effect_workers: int = variable(
        "EFFECT_WORKERS", whole(1, 64), 1, "Effects workers in one `worker`.", group=PROCESSES
    )
    batch: int = variable(
        "BATCH",
        whole(1, 100),
        100,
        "For tuning: how many events a worker applies in one transaction at most.",
        group=PROCESSES,
    )
    lease_seconds: int = variable(
        "LEASE_SECONDS",
        whole(2, 3600),
        60,
        "How long the jobs of a worker that was killed wait at most, in seconds. A job may take "
        "half of it, and no more than 20 s.",
        group=PROCESSES,
    )
    log_format: str = variable(
        "LOG_FORMAT", choice("json", "text"), "json", "The form of log lines.", group=PROCESSES
    )
    otlp_endpoint: Secret | None = variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        ENDPOINT,
        None,
        "Where traces are sent: a collector that takes OTLP over HTTP. It needs the extra `otel`. "
        "OpenTelemetry's other variables hold as well. See [Traces](../how-to/traces.md).",
        group=TELEMETRY,
        if_unset="no traces",
    )
    otlp_traces_endpoint: Secret | None = variable(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ENDPOINT,
        None,
        "The same with its whole path, if traces go elsewhere than your other signals.",
        group=TELEMETRY,
        if_unset="`OTEL_EXPORTER_OTLP_ENDPOINT` is used",
    )
    otel_disabled: bool = variable(
        "OTEL_SDK_DISABLED",
        TRUE,
        False,
        "`true` turns traces off, whatever else is set.",
        group=TELEMETRY,
        if_unset="`false`",
    )
    sentry_dsn: Secret | None = variable(
        "SENTRY_DSN",
        SENTRY_DSN,
        None,
        "The project at Sentry that bugs of this product are reported to: where in the code, and "
        "nothing of whom. It needs the extra `sentry`. See [Traces](../how-to/traces.md).",
        group=TELEMETRY,
        if_unset="nothing is reported",
    )
