"""The words for all that can be wrong with the database: `failures.py` says which of them fit."""

from __future__ import annotations

from app.faults import Fault

# By code. {store}, {where} and {database} are a `Place`'s. `docs/troubleshooting.md` lists them,
# which a test holds.
FAULTS = {
    "name_not_found": Fault(
        "the host name of {store} does not resolve",
        "correct the host in DATABASE_URL, or the DNS of this machine",
    ),
    "connection_refused": Fault(
        "{store} refuses the connection",
        "start it, or correct host and port in DATABASE_URL",
    ),
    "socket_missing": Fault(
        "{store} is not there",
        "start it, or correct the host in DATABASE_URL",
    ),
    "unreachable": Fault(
        "no route leads to {store}",
        "see to the network between this machine and the database",
    ),
    "connection_timeout": Fault(
        "{store} did not accept the connection in time",
        "see whether a firewall is in the way, and whether the host in DATABASE_URL is right",
    ),
    "connection_lost": Fault(
        "{store} closed the connection",
        "it is tried again; if it was not restarted, read its log",
    ),
    "starting": Fault(
        "{store} is starting up or shutting down",
        "wait; if it lasts, read its log",
    ),
    "not_postgresql": Fault(
        "what answers at {where} does not speak PostgreSQL's protocol",
        "correct host and port in DATABASE_URL",
    ),
    "wrong_password": Fault(
        "{store} refuses the user or the password in DATABASE_URL",
        "correct them, or set the role's password by ALTER ROLE",
    ),
    "password_missing": Fault(
        "{store} asks for a password, and DATABASE_URL has none",
        "write postgres://user:password@host:5432/name",
    ),
    "missing_role": Fault(
        "{store} has no role for the user in DATABASE_URL",
        "create it by CREATE ROLE, or correct the user",
    ),
    "missing_database": Fault(
        "{store} has no database {database}",
        "create it by CREATE DATABASE, or correct the name at the end of DATABASE_URL",
    ),
    "not_admitted": Fault(
        "{store} does not admit this machine and user to the database {database}",
        "add a line to its pg_hba.conf, GRANT CONNECT, or add ?sslmode=require if that asks for it",
    ),
    "tls_not_offered": Fault(
        "{store} does not offer TLS, which the sslmode in DATABASE_URL asks for",
        "switch `ssl` on there, or take sslmode out",
    ),
    "tls_certificate": Fault(
        "the TLS certificate of {store} does not pass the check that sslmode asks for",
        "name its authority by ?sslrootcert=FILE, and the host as the certificate does",
    ),
    "client_certificate": Fault(
        "{store} asks for a client certificate of the user in DATABASE_URL",
        "name it by ?sslcert=FILE&sslkey=FILE; its common name has to be the user's",
    ),
    "tls_failed": Fault(
        "no TLS connection to {store} comes about",
        "see that sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL fit the server",
    ),
    "too_many_connections": Fault(
        "{store} has no connection to spare",
        "raise max_connections there, or run fewer processes: each takes 5 at most",
    ),
    "pool_exhausted": Fault(
        "all connections of this process to {store} are in use",
        "it is tried again; if it lasts, look for statements that hang in pg_stat_activity",
    ),
    "read_only": Fault(
        "{store} is read-only: a standby, or set so",
        "point DATABASE_URL to the primary",
    ),
    "no_primary": Fault(
        "{store} has no server that takes writes: all that answer are standbys",
        "see to the primary, or promote a standby; it is tried again",
    ),
    "too_old": Fault(
        "{store} is older than version 15",
        "upgrade the server: versions 15 to 18 are tested",
    ),
    "startup_option": Fault(
        "{store} refuses an option of DATABASE_URL",
        "take `options` out of it, or name it in the pooler's ignore_startup_parameters",
    ),
    "prepared_elsewhere": Fault(
        "a statement at {store} is not where it was prepared: a pooler that is not recognised",
        "have the pooler lend by session, or DATABASE_URL lead past it",
    ),
    "pool_empty": Fault(
        "the pooler that is {store} had no connection to its server to spare in time",
        "it is tried again; if it lasts, see that the server is up, and raise default_pool_size",
    ),
    "pooler_refused": Fault(
        "the pooler that is {store} is refused by its server",
        "read the pooler's log; it tries again by itself",
    ),
    "pooled_by_statement": Fault(
        "the pooler that is {store} takes no transactions",
        "set pool_mode = transaction there",
    ),
    "lock_timeout": Fault(
        "a lock at {store} was waited for too long",
        "it is tried again; if it lasts, look in pg_stat_activity for who holds it",
    ),
    "deadlock": Fault(
        "two transactions at {store} waited for each other",
        "nothing: it is tried again",
    ),
    "statement_timeout": Fault(
        "{store} took too long over a statement",
        "it is tried again; if it lasts, see whether the server is overloaded",
    ),
    "job_timeout": Fault(
        "{store} did not answer within the job's time",
        "it is tried again; if it lasts, see whether the server is overloaded",
    ),
    "disk_full": Fault(
        "the disk of {store} is full",
        "make room there",
    ),
    "out_of_memory": Fault(
        "{store} has no memory left",
        "give the server more, or run less beside it",
    ),
    "disk_broken": Fault(
        "the disk of {store} cannot be read or written",
        "look at the disk, and at the system's log",
    ),
    "damaged": Fault(
        "{store} is damaged",
        "restore it from a backup",
    ),
    "no_right": Fault(
        "{store} does not give the role in DATABASE_URL the right to that",
        "GRANT it, or use the role that ran `python -m app migrate`",
    ),
    "not_migrated": Fault(
        "the ledger in {store} is not migrated",
        "run `python -m app migrate`",
    ),
    "too_new": Fault(
        "the ledger in {store} has a schema that this release is too old for",
        "deploy the release that migrated it, or a later one",
    ),
    "folder_missing": Fault(
        "the folder of {store} does not exist",
        "create it, or correct the path in DATABASE_URL",
    ),
    "file_missing": Fault(
        "there is no such SQLite file: {where}",
        "correct the path in DATABASE_URL, or run `python -m app migrate`",
    ),
    "file_forbidden": Fault(
        "this process may not open {store}",
        "give its user the right to read and write the file and its folder",
    ),
    "is_a_folder": Fault(
        "{store} is a folder",
        "name a file in DATABASE_URL",
    ),
    "file_not_opened": Fault(
        "{store} cannot be opened",
        "see that it is a plain file on a local disk, and correct the path in DATABASE_URL",
    ),
    "not_sqlite": Fault(
        "{store} is not a SQLite database",
        "correct the path in DATABASE_URL, or move the file away",
    ),
    "file_read_only": Fault(
        "{store} cannot be written to",
        "make the file and its folder writable for the user of this process",
    ),
    "file_locked": Fault(
        "{store} stayed locked by another process",
        "it is tried again; if it lasts, look for the process that holds it",
    ),
    "unavailable": Fault(
        "{store} does not answer as it should",
        "connect by `psql` with the same address, which shows the server's own words",
    ),
    "statement_refused": Fault(
        "{store} refused a statement",
        "report it with the code: this is a fault of ours",
    ),
}
