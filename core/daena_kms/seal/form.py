"""The form of a seal, and of a leaf: an object of the log by its name, hash and size.

A seal is ``seal/<number, 12 digits>.json``, created only if absent: it alone says which leaves are
in the log, in which order. Everything else is made from the seals.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daena_kms.audit.records import encode, split_name
from daena_kms.rules.durations import format_time
from daena_kms.seal.notes import is_key_name

ROOT = "seal/"
FORMAT = 1
#: So many leaves and strange names stand in one seal at most.
MAX_LEAVES = 4096
MAX_STRANGE = 1000
#: In bytes. A leaf has at most some 170, and a strange name 203.
MAX_SEAL = 2_000_000
_LEAF = re.compile(r"(\S+) sha256:([0-9a-f]{64}) (0|[1-9][0-9]{0,18})\n", re.ASCII)
_HASH = 32
_MEMBERS = {
    "v": int,
    "number": int,
    "origin": str,
    "time": str,
    "first": int,
    "leaves": list,
    "size": int,
    "root": str,
    "complete_to": (str, type(None)),
    "strange": list,
}


class NotASeal(Exception):
    """An object is not a seal, or says what cannot be; the text says what."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One object of the log."""

    name: str
    #: The hash of its bytes, in hexadecimal.
    sha256: str
    size: int

    @property
    def text(self) -> bytes:
        """The leaf as it is hashed into the tree."""
        return f"{self.name} sha256:{self.sha256} {self.size}\n".encode("ascii")

    @classmethod
    def parse(cls, text: bytes) -> "Leaf | None":
        """Return the leaf in a text, or ``None`` if it is none."""
        match = _LEAF.fullmatch(text.decode("ascii", "replace"))
        if match is None or split_name(match[1]) is None:
            return None
        return cls(match[1], match[2], int(match[3]))


@dataclass(frozen=True, slots=True)
class Seal:
    """What was sealed at once.

    Attributes:
        number: From 0 on, without a gap.
        origin: The name of the log, which the first seal fixes.
        time: When it was made, by the sealer's clock.
        first: How many leaves come before its own.
        leaves: Its leaves, in order.
        size: How many leaves the tree has with them.
        root: The hash of the tree.
        complete_to: All objects in hours before this one had been listed; ``None`` for none.
        strange: Names under ``log/`` that no record has, in ASCII.
    """

    number: int
    origin: str
    time: datetime
    first: int
    leaves: tuple[Leaf, ...]
    size: int
    root: bytes
    complete_to: datetime | None
    strange: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the object."""
        return seal_name(self.number)

    def encode(self) -> bytes:
        """Return the only form that the seal has."""
        return encode(
            {
                "v": FORMAT,
                "number": self.number,
                "origin": self.origin,
                "time": format_time(self.time),
                "first": self.first,
                "leaves": [leaf.text.decode().removesuffix("\n") for leaf in self.leaves],
                "size": self.size,
                "root": base64.b64encode(self.root).decode(),
                "complete_to": None if self.complete_to is None else format_time(self.complete_to),
                "strange": list(self.strange),
            }
        )

    @classmethod
    def decode(cls, data: bytes, number: int) -> "Seal":
        """Return the seal in an object. Raises :class:`NotASeal`."""
        try:
            document = json.loads(data) if len(data) <= MAX_SEAL else None
            if isinstance(document, dict) and _well_formed(document):
                seal = cls._of(document)
                if seal.encode() == data:
                    return _checked(seal, number)
        except (ValueError, RecursionError):
            pass
        raise NotASeal("is not a seal that this version of daena-kms reads")

    @classmethod
    def _of(cls, document: Mapping[str, Any]) -> "Seal":
        leaves = [Leaf.parse(f"{text}\n".encode()) for text in document["leaves"]]
        if None in leaves:
            raise NotASeal("holds a leaf that names no record of the log")
        complete = document["complete_to"]
        return cls(
            number=document["number"],
            origin=document["origin"],
            time=datetime.fromisoformat(document["time"]).astimezone(UTC),
            first=document["first"],
            leaves=tuple(leaf for leaf in leaves if leaf is not None),
            size=document["size"],
            root=base64.b64decode(document["root"], validate=True),
            complete_to=None if complete is None else datetime.fromisoformat(complete),
            strange=tuple(document["strange"]),
        )


def seal_name(number: int) -> str:
    """Return the name of a seal."""
    return f"{ROOT}{number:012}.json"


def _well_formed(document: Mapping[str, Any]) -> bool:
    if document.keys() != _MEMBERS.keys() or document["v"] != FORMAT:
        return False
    if not all(type(document[n]) in _types(wanted) for n, wanted in _MEMBERS.items()):
        return False
    lists = (("leaves", MAX_LEAVES), ("strange", MAX_STRANGE))
    return (
        all(len(document[name]) <= most for name, most in lists)
        and all(type(text) is str for name, _ in lists for text in document[name])
        and is_key_name(document["origin"])
    )


def _types(wanted: object) -> tuple[object, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _checked(seal: Seal, number: int) -> Seal:
    """Return a seal that can be. Raises :class:`NotASeal`."""
    if seal.number != number:
        raise NotASeal(f"says that it is number {seal.number}")
    if seal.first < 0 or seal.size != seal.first + len(seal.leaves):
        raise NotASeal("counts its leaves wrong")
    if len(seal.root) != _HASH:
        raise NotASeal("has a root that is no hash")
    complete = seal.complete_to
    if complete is not None and (complete.minute or complete.second or complete.microsecond):
        raise NotASeal("is complete to what is no whole hour")
    return seal


__all__ = ["MAX_LEAVES", "MAX_SEAL", "MAX_STRANGE", "ROOT", "Leaf", "NotASeal", "Seal", "seal_name"]
