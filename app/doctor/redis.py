"""Whether Redis answers, keeps what it acknowledges, and has room."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, cast

from redis.exceptions import RedisError, ResponseError

from app.configuration.addresses import describe_address
from app.doctor.deployment import Deployment
from app.doctor.result import Finding, hint_of
from app.domain.errors import QueueRefused, QueueUnavailable
from app.queue.connection import translated_errors
from app.queue.durability import promise, read_keeping
from app.queue.failures import failure

MIN_MAJOR = 7  # the first version that knows the flags of our scripts
# Shares of `maxmemory`: a full Redis takes no deliveries.
FULL, NEARLY_FULL = 0.95, 0.8


def check_reachable(deployment: Deployment) -> Finding:
    """Whether Redis answers, and can run our scripts."""
    deployment.require("REDIS_URL")
    where = describe_address(str(deployment.settings.redis_url))
    try:
        with translated_errors():
            deployment.stores.redis.ping()
        info = read_info(deployment)
    except (QueueUnavailable, QueueRefused) as failure:
        return Finding("redis", "wrong", failure.message, hint_of(failure))
    except ResponseError as failure:
        return Finding(
            "redis",
            "wrong",
            f"{where} refuses PING or INFO ({type(failure).__name__})",
            "Give the user in REDIS_URL the right to all commands and all keys.",
        )
    return judge_server(info, where)


def check_writes(deployment: Deployment) -> Finding:
    """Whether Redis takes a write, which is undone, and is the primary, which keeps it."""
    name = "redis writes"
    deployment.require("REDIS_URL")
    redis = deployment.stores.redis
    where = describe_address(str(deployment.settings.redis_url))
    key = f"identity:doctor:{secrets.token_hex(8)}"
    with translated_errors():
        redis.ping()  # where it is away, `check_reachable` says so
    try:
        with translated_errors():
            redis.set(key, "", ex=1)
            redis.delete(key)
    except (QueueUnavailable, QueueRefused) as failure:
        message = f"none is taken, and deliveries are answered 503: {failure.message}"
        return Finding(name, "wrong", message, hint_of(failure))
    if read_info(deployment).get("role") != "master":
        message = f"{where} is a replica: what it takes is lost"
        return Finding(name, "wrong", message, "Have REDIS_URL lead to the primary.")
    return Finding(name, "ok", "one was taken, and undone")


def judge_server(info: Mapping[str, Any], where: str) -> Finding:
    """Whether INFO says Redis 7 or later, or Valkey, and not in cluster mode."""
    valkey, version = info.get("valkey_version"), str(info.get("redis_version", ""))
    product = f"Valkey {valkey}" if valkey else f"Redis {version or 'of no version'}"
    major = version.partition(".")[0]
    found = ""
    if not valkey and (not major.isdigit() or int(major) < MIN_MAJOR):
        found = "too_old"
    elif info.get("cluster_enabled"):
        found = "cluster"
    if found:
        fault = failure(found, where)
        return Finding("redis", "wrong", f"{fault.message} ({product})", hint_of(fault))
    return Finding("redis", "ok", f"{product} at {where}")


def check_durability(deployment: Deployment) -> Finding:
    """Whether a 200 means what DURABILITY asks for."""
    name = "durability"
    deployment.require("REDIS_URL", "DURABILITY")
    keeping = read_keeping(deployment.stores.redis)
    found = promise(deployment.settings.durability, keeping)
    if found.loss:
        hint = "Set `appendonly yes` and `appendfsync always`, or accept it: DURABILITY=memory."
        return Finding(name, "warning", f"{found.message}; {found.loss}", hint)
    if found.wait_replica and not keeping.replicas:
        return Finding(
            name,
            "wrong",
            "no replica is connected: every delivery is answered 503",
            "Start the replica, or set DURABILITY=disk.",
        )
    return Finding(name, "ok", found.message)


def check_persistence(deployment: Deployment) -> Finding:
    """Whether Redis can write what it keeps."""
    name = "redis persistence"
    info = read_info(deployment)
    if not info.get("aof_enabled"):
        return Finding(
            name,
            "warning",
            "no append-only file: a restart may lose what was acknowledged",
            "Set `appendonly yes`, and `appendfsync always`.",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            name,
            "wrong",
            "the append-only file could not be written",
            "Look at the disk of Redis: it is full or broken.",
        )
    return Finding(name, "ok", "append-only file on")


def check_eviction(deployment: Deployment) -> Finding:
    """Whether Redis may evict jobs."""
    name = "redis eviction"
    info = read_info(deployment)
    policy = info.get("maxmemory_policy") or _read_policy(deployment)
    hint = "Set `maxmemory-policy noeviction`."
    if policy is None:
        return Finding(name, "warning", "Redis does not report its maxmemory-policy", hint)
    if policy == "noeviction":
        return Finding(name, "ok", "maxmemory-policy noeviction")
    if info.get("maxmemory"):
        return Finding(name, "wrong", f"{policy}: a full Redis evicts jobs", hint)
    return Finding(name, "warning", f"{policy}, though without maxmemory", hint)


def check_memory(deployment: Deployment) -> Finding:
    """How much room is left."""
    name = "redis memory"
    info = read_info(deployment)
    limit, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if not limit:
        return Finding(name, "ok", f"{_megabytes(used)} used, no maxmemory")
    message = f"{_megabytes(used)} of {_megabytes(limit)} used"
    hint = "Give Redis more memory, and see `dlq list`: dead letters stay until they are replayed."
    if used >= FULL * limit:
        return Finding(name, "wrong", f"{message}: deliveries are refused when it is full", hint)
    if used >= NEARLY_FULL * limit:
        return Finding(name, "warning", message, hint)
    return Finding(name, "ok", message)


def read_info(deployment: Deployment) -> Mapping[str, Any]:
    """INFO, which managed services answer even if they refuse CONFIG."""
    deployment.require("REDIS_URL")
    with translated_errors():
        return cast(Mapping[str, Any], deployment.stores.redis.info())


def _read_policy(deployment: Deployment) -> str | None:
    try:
        found = cast(dict[str, str], deployment.stores.redis.config_get("maxmemory-policy"))
    except RedisError:
        return None
    return found.get("maxmemory-policy")


def _megabytes(count: int) -> str:
    return f"{count / 1_048_576:.1f} MB"
