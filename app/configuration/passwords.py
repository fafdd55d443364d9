"""Passwords of the console's people: hashed by argon2id, and compared with their hashes.

The package is imported only where a password is made or checked: most processes do neither.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

# As OWASP asks for at the least. A web process may check two at once, and has little memory.
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
# Characters.
MIN_PASSWORD, MAX_PASSWORD = 12, 1_000

_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def hash_password(password: str) -> str:
    """The hash to keep of a password: another one each time."""
    return _HASHER.hash(password)


def password_matches(hash: str, password: str) -> bool:
    """Whether the hash is of this password. It takes tens of milliseconds and the hash's memory."""
    try:
        return _HASHER.verify(hash, password)
    except (Argon2Error, InvalidHashError):
        return False
