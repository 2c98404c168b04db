"""What the log and the claims need of a place: create if absent, read, list. Never overwrite."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from daena_kms.errors import AuditUnavailable, DaenaKMSError, StoreUnavailable


class AlreadyExists(Exception):
    """An object of that name is there already.

    ``refused`` is the code of the answer where the store did not say so, but refused the caller,
    and the object is there; it is empty otherwise.
    """

    def __init__(self, name: str = "", *, refused: str = "") -> None:
        super().__init__(name)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Use:
    """What objects are kept for: how messages name it, and the error when it can't be reached."""

    label: str
    error: type[DaenaKMSError]


AUDIT = Use("the audit log", AuditUnavailable)
CLAIMS = Use("the place of the claims", StoreUnavailable)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a listing; ``modified`` is a hint for where to look first, no evidence."""

    name: str
    modified: datetime


class Objects(ABC):
    """A store with create-if-absent. Every method may raise the error of its ``use``."""

    #: The address, for messages and for other processes; no credentials in it.
    url: str

    @abstractmethod
    def put_new(self, name: str, data: bytes) -> None:
        """Create an object, durably. Raises :class:`AlreadyExists`; then nothing was changed."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """Return an object's bytes, or ``None`` when there is none."""

    @abstractmethod
    def entries(self, prefix: str) -> list[Entry]:
        """Return every object whose name begins with ``prefix``, in the order of the names."""

    @abstractmethod
    def children(self, prefix: str) -> list[str]:
        """Return the names of the folders right below ``prefix``, in order."""
