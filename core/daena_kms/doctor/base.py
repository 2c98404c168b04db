"""The seams of the doctor: an :class:`Exam` for each store, and a :class:`Place` for each log.

Each implementation is a module of its own, and :mod:`daena_kms.doctor.factory` chooses. What is
checked in the same way everywhere is in :mod:`daena_kms.doctor.portable`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from daena_kms.doctor.check import Check
from daena_kms.sdk.errors import read_date


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The time in a service's answer, and this machine's time when the answer arrived."""

    service: str
    theirs: datetime
    ours: datetime


def server_time(service: str, date: str | None, ours: datetime) -> ServerTime | None:
    """Read the ``Date`` header of an answer; ``None`` if there is none or it is malformed.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    theirs = read_date(date)
    return None if theirs is None else ServerTime(service, theirs, ours)


class Exam(ABC):
    """The checks of one store. None of them changes a key.

    They are asked for in the order of the methods. A :class:`DaenaKMSError` in one of them ends
    that one alone.
    """

    #: Whether the store has a clock that is not this machine's.
    has_clock = True

    @abstractmethod
    def credentials(self) -> Iterator[Check]:
        """Yield who we are. If one of these is wrong, nothing else is asked of the store."""

    @abstractmethod
    def clock(self) -> ServerTime | None:
        """Return what time the store says it is; ``None`` if it does not say.

        It is not asked where there is no other clock.
        """

    @abstractmethod
    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each permission.

        Args:
            keys: the ids of the managed keys, as far as they could be listed.
        """

    @abstractmethod
    def encryption(self) -> Iterator[Check]:
        """Yield the state of the key that encrypts the values, and whether it rotates."""

    def infrastructure(self) -> Iterator[Check]:
        """Yield which keys an infrastructure tool created, where the store shows it."""
        yield from ()

    def claims(self) -> Iterator[Check]:
        """Yield the state of the place of the claims, where rotations need one."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What reading and writing a place takes, and what a refused write means there.

    A service may refuse a write because the object exists, or because the caller may not write at
    all. Its error code tells the two apart where its documents say so.
    """

    #: The permissions, as the service names them.
    write: str
    read: str
    #: Error codes of a caller who may write, but not overwrite.
    overwrite_codes: frozenset[str] = frozenset()
    #: Error codes of a caller who may not write.
    write_codes: frozenset[str] = frozenset()


class Place(ABC):
    """The checks of one place where the audit log is kept."""

    needs: Needs

    @abstractmethod
    def protection(self, *, read: bool) -> Iterator[Check]:
        """Yield whether the objects of the log can be deleted or overwritten.

        Args:
            read: whether objects of the log have just been listed and read.
        """
