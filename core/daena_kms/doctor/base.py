"""The seams of the doctor: what one store's, and one log's place, has to say of itself.

A module for each implements one of these; :mod:`daena_kms.doctor.factory` chooses. What is the
same everywhere is in :mod:`daena_kms.doctor.portable`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from daena_kms.doctor.check import Check


@dataclass(frozen=True, slots=True)
class Told:
    """The time that a service told in an answer, and this machine's when it came."""

    service: str
    theirs: datetime
    ours: datetime


def told(service: str, date: str | None, ours: datetime) -> Told | None:
    """Read the ``Date`` of an answer; ``None`` for one that has none.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return Told(service, theirs.replace(tzinfo=theirs.tzinfo or UTC), ours)


class Exam(ABC):
    """What can be asked of one store. Nothing in it changes a key.

    The checks are asked for in the order of the methods; an error of ours in one of them ends
    that one.
    """

    @abstractmethod
    def credentials(self) -> Iterator[Check]:
        """Yield who we are. What follows makes sense only if none of them is wrong."""

    @abstractmethod
    def clock(self) -> Told | None:
        """Return what the store says the time is; ``None`` where there is nothing to compare."""

    @abstractmethod
    def permissions(self, keys: Sequence[str]) -> Iterator[Check]:
        """Yield one check for each permission; ``keys`` are the managed keys that were listed."""

    @abstractmethod
    def encryption(self) -> Iterator[Check]:
        """Yield how the key beneath the keys is: its state and its own rotation."""

    def places(self) -> Iterator[Check]:
        """Yield the state of what a rotation needs beside the store and the log."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What writing and reading takes, and what it means when a put to an object is refused.

    A service may refuse it for the object that is there, or for lack of permission; its code tells
    where its documents say so.
    """

    write: str
    read: str
    #: The codes that say that only overwriting is not allowed.
    fine: frozenset[str] = frozenset()
    #: The codes that say that writing is not.
    missing: frozenset[str] = frozenset()


class Place(ABC):
    """What can be asked of the place where the audit log lies."""

    needs: Needs

    @abstractmethod
    def protection(self) -> Iterator[Check]:
        """Yield whether what was written can be deleted or overwritten."""
