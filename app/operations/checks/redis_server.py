"""Whether Redis is one that jobs can be trusted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from redis.exceptions import RedisError, ResponseError

from app.domain.errors import QueueUnavailable
from app.operations.checks.finding import Finding
from app.operations.checks.patient import Patient, address
from app.queue.connection import translated_errors

OLDEST_MAJOR = 7  # the first that knows the flags of our scripts
# Parts of `maxmemory`: a full Redis takes no deliveries.
FULL, NEARLY_FULL = 0.95, 0.8


def check_reachable(patient: Patient) -> Finding:
    """Whether Redis answers, and can run our scripts."""
    patient.asks("REDIS_URL")
    where = address(str(patient.settings.redis_url))
    try:
        with translated_errors():
            patient.redis.ping()
        info = read_info(patient)
    except QueueUnavailable as failure:
        return Finding("redis", "wrong", f"{where}: {failure}", "Start Redis, or mend REDIS_URL.")
    except ResponseError as failure:
        return Finding(
            "redis",
            "wrong",
            f"{where} refuses PING or INFO ({type(failure).__name__})",
            "Give the user in REDIS_URL the right to all commands and all keys.",
        )
    return judge_version(info, where)


def judge_version(info: Mapping[str, Any], where: str) -> Finding:
    """Redis 7 or Valkey, by what INFO tells."""
    valkey = info.get("valkey_version")
    if valkey:
        return Finding("redis", "ok", f"Valkey {valkey} at {where}")
    version = str(info.get("redis_version", ""))
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST_MAJOR:
        return Finding(
            "redis",
            "wrong",
            f"{where} is Redis {version or 'of no version'}",
            f"Use Redis {OLDEST_MAJOR} or later, or Valkey: the queue's scripts need it.",
        )
    return Finding("redis", "ok", f"Redis {version} at {where}")


def check_persistence(patient: Patient) -> Finding:
    """Whether what was acknowledged survives a restart of Redis."""
    name = "redis persistence"
    info = read_info(patient)
    if not info.get("aof_enabled"):
        return Finding(
            name,
            "warning",
            "no append-only file: a restart may lose what was acknowledged",
            "Set `appendonly yes`; where it cannot be set, run `backfill` after each restart.",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            name,
            "wrong",
            "the append-only file could not be written",
            "Look at the disk of Redis: it is full or broken.",
        )
    return Finding(name, "ok", "append-only file on")


def check_eviction(patient: Patient) -> Finding:
    """Whether Redis may throw jobs away."""
    name = "redis eviction"
    info = read_info(patient)
    policy = info.get("maxmemory_policy") or _asked_policy(patient)
    do = "Set `maxmemory-policy noeviction`."
    if policy is None:
        return Finding(name, "warning", "Redis does not tell its maxmemory-policy", do)
    if policy == "noeviction":
        return Finding(name, "ok", "maxmemory-policy noeviction")
    if info.get("maxmemory"):
        return Finding(name, "wrong", f"{policy}: a full Redis throws jobs away", do)
    return Finding(name, "warning", f"{policy}, though without maxmemory", do)


def check_memory(patient: Patient) -> Finding:
    """How much room is left."""
    name = "redis memory"
    info = read_info(patient)
    most, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if not most:
        return Finding(name, "ok", f"{_megabytes(used)} used, no maxmemory")
    told = f"{_megabytes(used)} of {_megabytes(most)} used"
    do = "Give Redis more memory, and see `dlq list`: dead letters stay until they are replayed."
    if used >= FULL * most:
        return Finding(name, "wrong", f"{told}: deliveries are refused when it is full", do)
    if used >= NEARLY_FULL * most:
        return Finding(name, "warning", told, do)
    return Finding(name, "ok", told)


def read_info(patient: Patient) -> Mapping[str, Any]:
    """INFO, which managed services answer where they refuse CONFIG."""
    patient.asks("REDIS_URL")
    with translated_errors():
        return cast(Mapping[str, Any], patient.redis.info())


def _asked_policy(patient: Patient) -> str | None:
    try:
        found = cast(dict[str, str], patient.redis.config_get("maxmemory-policy"))
    except RedisError:
        return None
    return found.get("maxmemory-policy")


def _megabytes(count: int) -> str:
    return f"{count / 1_048_576:.1f} MB"
