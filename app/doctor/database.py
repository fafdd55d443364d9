"""Whether the ledger can be used, and whether its contents look right."""

from __future__ import annotations

from app.configuration.addresses import describe_address
from app.doctor.deployment import Deployment
from app.doctor.result import Finding, hint_of, in_minutes_or_hours
from app.domain.durations import DAY
from app.domain.errors import StoreFailure
from app.domain.modes import mode_name
from app.ledger.schema import fit, read_schema, revisions, too_new
from app.ledger.server import look_at

# A team with few users may have no event for longer, so this is only a warning.
MAX_QUIET = DAY


def check_database(deployment: Deployment) -> Finding:
    """Whether the database answers and has the schema of this version."""
    name = "database"
    deployment.require("DATABASE_URL")
    where = describe_address(str(deployment.settings.database_url))
    try:
        server = look_at(deployment.engine())
        schema = read_schema(deployment.engine())
    except StoreFailure as failure:
        return Finding(name, "wrong", failure.message, hint_of(failure))
    revision, known = schema.revision, revisions()
    wanted, found = known[-1], fit(schema, known)
    if found == "too new":
        refused = too_new(deployment.stores.engine, revision)
        return Finding(name, "wrong", refused.message, hint_of(refused))
    if found == "later":
        message = (
            f"{where} is at {revision}, of a later version than this one, which needs {wanted}"
        )
        hint = "As it should be after a rollback; else deploy the version it was migrated by."
        return Finding(name, "warning", message, hint)
    if found != "current":
        message = f"{where} is at {revision or 'no'} revision, and this version needs {wanted}"
        hint = "Run `migrate`."
        return Finding(name, "wrong", message, hint)
    if server is None:
        message = f"{where}, migrated: SQLite, which serves one host only"
        return Finding(name, "warning", message, "Use PostgreSQL in production.")
    return Finding(name, "ok", f"{where}, {server}, migrated to {wanted}")


def check_writes(deployment: Deployment) -> Finding:
    """Whether the database takes a write, which is rolled back."""
    name = "database writes"
    cursors = deployment.ledger().cursors
    cursors.get("writable")  # where it is away or not migrated, `check_database` says so
    try:
        cursors.try_write()
    except StoreFailure as failure:
        message = f"none is taken, and every event and effect waits: {failure.message}"
        return Finding(name, "wrong", message, hint_of(failure))
    return Finding(name, "ok", "one was taken, and rolled back")


def check_mode(deployment: Deployment) -> Finding:
    """Whether the API key has the mode of the sessions in the ledger."""
    name = "key mode"
    deployment.stripe()  # without a key there is no mode to compare
    held = deployment.ledger().modes()
    live, test = held.get(True, 0), held.get(False, 0)
    counts = f"{live} live and {test} test sessions in the ledger"
    if live and not deployment.settings.livemode:
        return Finding(
            name,
            "wrong",
            f"STRIPE_API_KEY is a test key; {counts}",
            "Set a live key: a test key cannot ask about live sessions.",
        )
    if test and not live and deployment.settings.livemode:
        return Finding(
            name,
            "warning",
            f"STRIPE_API_KEY is a live key; {counts}",
            "See that a live-mode endpoint delivers here, with its own signing secret.",
        )
    mode = mode_name(deployment.settings.livemode)
    return Finding(name, "ok", f"a {mode} key; {counts}")


def check_last_event(deployment: Deployment) -> Finding:
    """How long ago Stripe created the newest event."""
    name = "last event"
    last = deployment.ledger().last_event()
    hint = "See at Stripe, under Webhooks, whether deliveries arrive; then run `backfill`."
    if last is None:
        return Finding(name, "warning", "none has ever been applied", hint)
    age = max(0, int(deployment.now()) - last)
    message = f"{in_minutes_or_hours(age)} ago"
    if age > MAX_QUIET:
        return Finding(name, "warning", message, hint)
    return Finding(name, "ok", message)


def check_redactions(deployment: Deployment) -> Finding:
    """Whether Stripe has finished the requested redactions."""
    overdue = deployment.ledger().polling.overdue_redactions(int(deployment.now()))
    if overdue:
        return Finding(
            "redactions",
            "wrong",
            f"{overdue} not finished by Stripe in its four days",
            "Run `sweep`; if they stay, write to Stripe's support.",
        )
    return Finding("redactions", "ok", "none overdue")
