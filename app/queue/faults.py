"""The words for all that can be wrong with Redis: `failures.py` says which of them fit."""

from __future__ import annotations

from app.faults import Fault

# By code. {redis} and {where} are where it is, {detail} is of the answer. `docs/troubleshooting.md`
# lists them, which a test holds.
FAULTS = {
    "name_not_found": Fault(
        "the host name of {redis} does not resolve",
        "correct the host in REDIS_URL, or the DNS of this machine",
    ),
    "connection_refused": Fault(
        "{redis} refuses the connection",
        "start it, or correct host and port in REDIS_URL",
    ),
    "socket_missing": Fault(
        "{redis} is not there",
        "start it, or correct the path in REDIS_URL",
    ),
    "unreachable": Fault(
        "no route leads to {redis}",
        "see to the network between this machine and Redis",
    ),
    "timeout": Fault(
        "{redis} did not answer in time",
        "see whether it is overloaded, a firewall is in the way, or it expects TLS or none",
    ),
    "connection_lost": Fault(
        "{redis} closed the connection",
        "it is tried again; if Redis was not restarted, read its log",
    ),
    "not_redis": Fault(
        "what answers at {where} does not speak Redis' protocol",
        "correct host and port in REDIS_URL, or write rediss:// if it expects TLS",
    ),
    "wrong_password": Fault(
        "{redis} refuses the user or the password in REDIS_URL",
        "correct them, or its ACL",
    ),
    "password_missing": Fault(
        "{redis} asks for a password, and REDIS_URL has none",
        "write redis://user:password@host:6379/0, or redis://:password@host:6379/0",
    ),
    "password_unknown": Fault(
        "{redis} has no password, and REDIS_URL sends one",
        "take it out of REDIS_URL, or set one there",
    ),
    "no_permission": Fault(
        "{redis} does not let the user in REDIS_URL {detail}",
        "give the user that right: deploy/valkey/users.acl has all that are needed",
    ),
    "no_such_database": Fault(
        "{redis} has no database of the number in REDIS_URL",
        "correct the number at its end, or raise `databases` there",
    ),
    "loading": Fault(
        "{redis} is still loading its data",
        "wait until it is done",
    ),
    "replica": Fault(
        "{redis} is a replica, which takes no jobs",
        "point REDIS_URL to the primary, or to the sentinels",
    ),
    "demoted": Fault(
        "{redis} has become a replica meanwhile",
        "nothing: it is tried again by the same name",
    ),
    "primary_lost": Fault(
        "{redis} is a replica that has lost its primary",
        "point REDIS_URL to the primary, or to the sentinels",
    ),
    "replicas_lost": Fault(
        "{redis} has fewer replicas than it needs to take a job",
        "start them, or lower min-replicas-to-write",
    ),
    "no_primary": Fault(
        "no sentinel of {where} names a primary",
        "start the sentinels, or correct their hosts and the service's name in REDIS_URL",
    ),
    "sentinel_password": Fault(
        "the sentinels of {where} do not let this process ask them",
        "correct sentinel_username and sentinel_password in REDIS_URL, or the sentinels' ACL",
    ),
    "sentinel_tls": Fault(
        "no TLS connection to the sentinels of {where} comes about",
        "see that they listen with TLS, and that REDIS_URL's ssl_ options fit them too",
    ),
    "full": Fault(
        "{redis} is full",
        "raise maxmemory, and see what `dlq list` holds: workers empty the queue meanwhile",
    ),
    "disk_failed": Fault(
        "{redis} cannot save to its disk, and takes nothing until it can",
        "make room there, or mend the disk",
    ),
    "busy": Fault(
        "{redis} is busy with somebody's script",
        "wait, or end it by SCRIPT KILL",
    ),
    "cluster": Fault(
        "{redis} is a cluster, over whose nodes the queue's keys would be spread",
        "point REDIS_URL to a Redis or Valkey that is not in cluster mode",
    ),
    "too_old": Fault(
        "{redis} is too old for the queue's scripts",
        "use Redis 7.0 or later, or Valkey",
    ),
    "too_many_clients": Fault(
        "{redis} has no connection to spare",
        "raise maxclients, or run fewer processes: each takes 5 at most",
    ),
    "pool_exhausted": Fault(
        "no connection to {redis} came free within {detail} s",
        "it is tried again; if it lasts, see whether Redis is slow",
    ),
    "tls_certificate": Fault(
        "the TLS certificate of {redis} is of no authority that this process trusts",
        "name its authority by ?ssl_ca_certs=FILE, or accept any by REDIS_TLS_VERIFY=0",
    ),
    "tls_other_name": Fault(
        "the TLS certificate of {redis} is for another host name",
        "write the name that it is for into REDIS_URL, or have it made for this one as well",
    ),
    "tls_expired": Fault(
        "the TLS certificate of {redis} has expired, or is not valid yet",
        "renew it; if it is valid, set the clock of this machine right",
    ),
    "tls_own_certificate": Fault(
        "{redis} asks this process for a TLS certificate, and accepts none that it shows",
        "name one that is valid there, by ?ssl_certfile=FILE&ssl_keyfile=FILE",
    ),
    "tls_file": Fault(
        "a file that the ssl_ options in REDIS_URL name is not there",
        "put it there, or correct its path",
    ),
    "tls_not_offered": Fault(
        "{redis} does not speak TLS, which rediss:// asks for",
        "write redis://, or have it listen with TLS",
    ),
    "tls_failed": Fault(
        "no TLS connection to {redis} comes about",
        "see that both sides share a version of TLS, and the certificates that each asks for",
    ),
    "unavailable": Fault(
        "{redis} does not answer as it should",
        "connect by `redis-cli` with the same address, which shows its own words",
    ),
}
