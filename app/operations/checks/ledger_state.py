"""Whether the ledger can be used, and whether what it holds looks right."""

from __future__ import annotations

from app.domain.errors import Permanent, Transient
from app.ledger import migrate
from app.ledger.upkeep import DAY, HOUR
from app.operations.checks.finding import Finding
from app.operations.checks.patient import Patient, address

# A team with few users may hear nothing for longer, so this is a warning only.
QUIET = DAY


def check_database(patient: Patient) -> Finding:
    """Whether it answers and is of this version."""
    name = "database"
    patient.asks("DATABASE_URL")
    where = address(str(patient.settings.database_url))
    try:
        revision = migrate.current(patient.ledger())
    except (Transient, Permanent) as failure:
        do = "Start the database or mend DATABASE_URL, then run `migrate`."
        return Finding(name, "wrong", f"{where}: {failure}", do)
    wanted = migrate.head()
    if revision != wanted:
        told = f"{where} is at {revision or 'no'} revision, and this version needs {wanted}"
        return Finding(name, "wrong", told, "Run `migrate`, or deploy the version it was made by.")
    if patient.engine.dialect.name == "sqlite":
        told = f"{where}, migrated: SQLite, which serves one host only"
        return Finding(name, "warning", told, "Use PostgreSQL in production.")
    return Finding(name, "ok", f"{where}, migrated to {wanted}")


def check_mode(patient: Patient) -> Finding:
    """Whether the API key is of the mode of the sessions that the ledger holds."""
    name = "key mode"
    patient.stripe_api()  # without a key there is no mode to compare
    held = patient.upkeep().modes()
    live, test = held.get(True, 0), held.get(False, 0)
    told = f"{live} live and {test} test sessions in the ledger"
    if live and not patient.settings.livemode:
        return Finding(
            name,
            "wrong",
            f"STRIPE_API_KEY is a test key; {told}",
            "Set a live key: a test key cannot ask about live sessions.",
        )
    if test and not live and patient.settings.livemode:
        return Finding(
            name,
            "warning",
            f"STRIPE_API_KEY is a live key; {told}",
            "See that a live-mode endpoint delivers here, with its own signing secret.",
        )
    mode = "live" if patient.settings.livemode else "test"
    return Finding(name, "ok", f"a {mode} key; {told}")


def check_last_event(patient: Patient) -> Finding:
    """How long ago the newest event was made."""
    name = "last event"
    last = patient.upkeep().last_event()
    do = "See at Stripe, under Webhooks, whether deliveries arrive; then run `backfill`."
    if last is None:
        return Finding(name, "warning", "none has ever been applied", do)
    age = max(0, int(patient.now()) - last)
    told = f"{age // HOUR} h ago" if age >= 2 * HOUR else f"{age // 60} min ago"
    if age > QUIET:
        return Finding(name, "warning", told, do)
    return Finding(name, "ok", told)


def check_redactions(patient: Patient) -> Finding:
    """Whether Stripe has finished what it was told to redact."""
    overdue = patient.upkeep().overdue_redactions(int(patient.now()))
    if overdue:
        return Finding(
            "redactions",
            "wrong",
            f"{overdue} not finished by Stripe in its four days",
            "Run `sweep`; if they stay, write to Stripe's support.",
        )
    return Finding("redactions", "ok", "none overdue")
