"""What an operation would change, user by user, and the digest that pins its letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.operations import Kind
from app.ledger.standings import standings_of
from app.operations.bulk.selection import LetterSet, Pin, digest_of
from app.operations.dlq.documents import preview_as_json
from app.operations.dlq.preview import Preview, preview
from app.operations.dlq.users import user_of
from app.queue.dead_letters import DeadLetter, DeadLetters
from app.queue.model import EVENTS
from app.stores import Stores

# Users shown one by one, and the letters that are held for it: all others are counted only.
SHOWN_USERS = 100
HELD_LETTERS = 2_000
# Letters that are read for whom they are about, where not every one has to be: the size of a whole
# queue is known without, and a page must not wait until 100,000 are read.
READ_LETTERS = 2_000


@dataclass(frozen=True, slots=True)
class OperationPreview:
    """What would be done, and to whom. `digest` is what starts just this."""

    kind: Kind
    selection: LetterSet
    digest: str
    total: int  # letters
    every_letter: bool  # whether all that match were counted: else there may be more
    # Whom the letters are about; those of a session that they name no user of count as one.
    users: int
    every_user: bool  # whether all were counted: else there may be more
    # The first users', those that change first. Of a discard: what will not come to be.
    changes: tuple[Preview, ...]

    @property
    def letters(self) -> str:
        """How many letters there are, in words."""
        return f"{'' if self.every_letter else 'at least '}{self.total} dead letter(s)"

    @property
    def hit(self) -> str:
        """How many users the letters are about, in words."""
        return f"{'' if self.every_user else 'at least '}{self.users} user(s)"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "kind": self.kind,
            "queue": self.selection.queue,
            "selection": self.selection.as_json(),
            "digest": self.digest,
            "total": self.total,
            "every_letter": self.every_letter,
            "users": self.users,
            "every_user": self.every_user,
            "changes": [preview_as_json(one) for one in self.changes],
        }


def preview_operation(
    stores: Stores, kind: Kind, selection: LetterSet, now: float, *, every: bool = True
) -> OperationPreview:
    """What replaying or discarding the letters would change. Reads only; in flat memory.

    With `every`, each letter that matches is counted; else the newest are looked at, and what is
    pinned is the set that they are of. `now` is in Unix seconds. Raises the errors of Redis and of
    the ledger.
    """
    letters = stores.dead_letters(selection.queue)
    moment, place = int(now), letters.newest_place()
    all_dead = letters.count_from(place)
    every = every or selection.all or bool(selection.ids) or all_dead <= READ_LETTERS
    users = _Users()
    for letter in _read(selection, letters, moment, place, every=every):
        users.add(letter)
    total = all_dead if selection.all else users.letters
    pinned = total if every else all_dead
    changes = _changes(stores, selection.queue, users.held, moment)
    return OperationPreview(
        kind=kind,
        selection=selection,
        digest=str(Pin(moment, place, pinned, digest_of(kind, selection, counted=every))),
        total=total,
        every_letter=every,
        users=users.count,
        every_user=every and users.letters >= total,
        changes=tuple(sorted(changes, key=lambda one: not one.changes)),
    )


def _read(
    selection: LetterSet, letters: DeadLetters, moment: int, place: float, *, every: bool
) -> Iterator[DeadLetter]:
    """The letters that are shown: all that match, or those among the newest that may match."""
    if selection.all or not every:
        age = selection.filters.older_than
        start = place if age is None else max(place, age - moment)  # a place is minus a death
        chosen = selection.of(letters, moment, start, most_looked=READ_LETTERS)
    else:
        chosen = selection.of(letters, moment, place)
    return (letter for _, letter in chosen)


def names_of(stores: Stores, letters: Iterable[DeadLetter]) -> list[str]:
    """The references that the letters name, for people; a session where there is none."""
    named = [letter for letter in letters if user_of(letter.payload) is not None]
    keys = {str(letter.payload.get("reference_key") or "") for letter in named} - {""}
    known = standings_of(stores.engine, keys)
    names = dict.fromkeys(_name(letter.payload, known) for letter in named)
    return list(names)


def _name(payload: Mapping[str, Any], known: Mapping[str, tuple[ReferenceKey, Any]]) -> str:
    found = known.get(str(payload.get("reference_key")))
    if found is not None:
        return found[0].reference
    return str(payload.get("reference") or payload.get("session_id"))


@dataclass
class _Users:
    """Counts users, and holds all letters of each of the first."""

    letters: int = 0
    held: dict[str, list[DeadLetter]] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _held_letters: int = 0

    @property
    def count(self) -> int:
        return len(self._seen)

    def add(self, letter: DeadLetter) -> None:
        self.letters += 1
        user = user_of(letter.payload)
        if user is None:
            return
        if hash(user) not in self._seen and len(self.held) < SHOWN_USERS:
            self.held[user] = []
        self._seen.add(hash(user))
        if user not in self.held:
            return
        self.held[user].append(letter)
        self._held_letters += 1
        if self._held_letters > HELD_LETTERS:  # whom a part of the letters is held of is not shown
            self._held_letters -= len(self.held.pop(user))


def _changes(
    stores: Stores, queue: str, held: Mapping[str, Sequence[DeadLetter]], now: int
) -> list[Preview]:
    if queue == EVENTS.name:
        return list(
            preview((one for letters in held.values() for one in letters), stores.ledger, now)
        )
    return _unchanged(stores, [one for letters in held.values() for one in letters])


def _unchanged(stores: Stores, letters: Sequence[DeadLetter]) -> list[Preview]:
    """Effects change no standing: how those stand whom they are about."""
    keys: Counter[str] = Counter()
    sessions: dict[SessionKey, str] = {}
    for letter in letters:
        payload = letter.payload
        key = payload.get("reference_key")
        if not key:
            session = SessionKey(
                str(payload.get("session_id", "")),
                str(payload.get("account", "")),
                bool(payload.get("livemode")),
            )
            if session not in sessions:
                reference = stores.ledger.reference_of(session)
                sessions[session] = "" if reference is None else reference.digest
            key = sessions[session]
        keys[str(key)] += 1
    known = standings_of(stores.engine, keys.keys() - {""})
    return [
        Preview(key.reference, key.account, key.livemode, keys[digest], now, now, key.purpose)
        for digest, (key, now) in known.items()
    ]
