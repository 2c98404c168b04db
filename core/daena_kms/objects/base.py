"""What the log and the claims need from a place: create if absent, read, list, never overwrite."""

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


class Objects(ABC):
    """A store with create-if-absent. Every method may raise the error of its ``use``."""

    #: The address, for messages and for other processes, without credentials.
    url: str

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

    @abstractmethod
    def entries(self, prefix: str) -> list[Entry]:
        """Return every object whose name begins with ``prefix``, ordered by name."""

    def scan(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """Yield the objects below ``prefix`` whose names come after ``after``, page by page.

        The objects of one folder come together and ordered by name. A caller that stops early has
        listed no more than it needed, where the store lists in pages.
        """
        yield from (entry for entry in self.entries(prefix) if entry.name > after)

    @abstractmethod
    def children(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below ``prefix``, in order."""
