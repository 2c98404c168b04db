"""What the log and the claims need from a place: create if absent, read, list, never overwrite."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable


class AlreadyExists(Exception):
    """An object of that name exists already.

    ``refused`` is empty if the store said so. If the store refused the caller instead, and the
    object exists, it is the code of that refusal.
    """

    def __init__(self, name: str = "", *, refused: str = "") -> None:
        super().__init__(name)
        self.refused = refused


#: Every name that this package gives to an object: parts of these characters, none of them empty,
#: ``.`` or ``..``. Anybody who may add to a place may add others.
_PLAIN = re.compile(
    r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._+=@,-]+(?:/[A-Za-z0-9._+=@,-]+)*", re.ASCII
)
_LONGEST_NAME = 1024
#: How often an object is created that is said to exist and can't be read.
_TRIES = 3
_SHOWN = 200


def is_plain(name: str) -> bool:
    """Whether this package could have given an object that name; others are never opened."""
    return len(name) <= _LONGEST_NAME and _PLAIN.fullmatch(name) is not None


def ascii_name(name: str) -> str:
    """Return a name for a report, in ASCII and bounded: it can't move a terminal's cursor."""
    escaped = ascii(name)[1:-1]
    return escaped if len(escaped) <= _SHOWN else f"{escaped[:_SHOWN]}..."


@dataclass(frozen=True, slots=True)
class Use:
    """What objects are kept for: its name in messages, and the error if it can't be reached."""

    label: str
    error: type[DaenaKMSError]


AUDIT = Use("the audit log", AuditUnavailable)
CLAIMS = Use("the place for claims", StoreUnavailable)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a listing; ``modified`` is a hint where to look first, not evidence."""

    name: str
    modified: datetime
    #: In bytes; ``None`` if the listing does not say.
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The beginning of a listing, and the time by the place's own clock, if it says it."""

    entries: list[Entry]
    at: datetime | None
    #: Whether the listing ended there.
    whole: bool


class Objects(ABC):
    """A store with create-if-absent. Every method may raise the error of its ``use``."""

    #: The address, for messages and for other processes, without credentials.
    url: str
    #: What the objects are kept for.
    use: Use = AUDIT

    @abstractmethod
    def put_new(self, name: str, data: bytes) -> None:
        """Create an object durably. Raises :class:`AlreadyExists` if it exists; nothing changes."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """Return an object's bytes, or ``None`` if it does not exist."""

    def get_up_to(self, name: str, limit: int) -> bytes | None:
        """Return at most the first ``limit`` bytes of an object, or ``None`` if it is absent."""
        data = self.get(name)
        return None if data is None else data[:limit]

    def chunks(self, name: str) -> Iterator[bytes] | None:
        """Return an object's bytes piece by piece, however many; ``None`` if it is absent."""
        data = self.get(name)
        return None if data is None else iter((data,))

    def get_listed(self, entry: Entry, limit: int) -> bytes | None:
        """Return at most the first ``limit`` bytes of an object that a listing has shown.

        Where only a broken answer can have another size than the listing shows, that is an error.
        """
        return self.get_up_to(entry.name, limit)

    def create(self, name: str, data: bytes, most: int) -> bytes:
        """Create an object durably unless one of that name is there, and return what is there then.

        That is ``data`` as well where the answer to a put was lost and its repetition has found the
        object.

        Args:
            name: The object.
            data: Its content.
            most: How many bytes of another writer's object are returned at most.
        """
        for _ in range(_TRIES):
            try:
                self.put_new(name, data)
            except AlreadyExists:
                there = self.get_up_to(name, most)
                if there is not None:
                    return there
            else:
                return data
        msg = f"{name} in {self.url} can't be created, and it can't be read either"
        raise self.use.error(msg, todo="Check who deletes objects there; the next run tries again")

    @abstractmethod
    def entries(self, prefix: str) -> list[Entry]:
        """Return every object whose name begins with ``prefix``, ordered by name.

        ``prefix`` is empty or ends with a slash. Objects with a name that this package gives none
        are left out, see :meth:`strange`.
        """

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Yield the objects below ``prefix`` whose names come after ``after``, page by page.

        The objects of one folder come together and ordered by name. A caller that stops early has
        listed no more than it needed, where the store lists in pages.
        """
        yield from (entry for entry in self.entries(prefix) if entry.name > after)

    @abstractmethod
    def children(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below ``prefix``, in order."""

    def look(self, prefix: str, most: int) -> Look:
        """Return the first ``most`` objects whose name begins with ``prefix``, in any order.

        Objects with strange names count, but are not among them.
        """
        entries = self.entries(prefix)
        return Look(entries[:most], None, whole=len(entries) <= most)

    def strange(self, prefix: str) -> Iterator[str]:
        """Yield the names below ``prefix`` that this package gives no object, as they are.

        Nothing here opens such an object: some libraries can't, and some names mean another object
        to them. ``ascii_name`` escapes a name.
        """
        del prefix  # a place that can't have any says so
        return iter(())
