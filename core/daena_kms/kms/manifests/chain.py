"""The chain of manifests in a place with create-if-absent: numbered, one after another.

A manifest is an object ``<prefix><number>.json``, counted from 1. A writer that finds the number
taken reads what is there and continues after it, so that concurrent writers don't fork the chain.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from daena_kms.audit.records import digest
from daena_kms.errors import AuditUnavailable, ConfigError, ManifestInvalid
from daena_kms.kms.manifests.format import MAX_BYTES, Manifest, decode, encode, hash_fits
from daena_kms.kms.manifests.signing import checks
from daena_kms.objects.base import Objects

#: Where the manifests are in the place of an audit log.
PREFIX = "manifests/"
_NUMBER = re.compile(r"(\d{12})\.json", re.ASCII)
_LAST = 999_999_999_999
#: How far apart two numbers may be; one further on is skipped.
_GAP = 10_000
#: Objects that are read to find the last manifest, and names that are tried for a new one.
_MOST = 100


@dataclass(frozen=True, slots=True)
class End:
    """Where a chain ends: the last manifest and its number; ``None`` and 0 if it is empty."""

    number: int = 0
    manifest: Manifest | None = None
    #: The first number after it that was free.
    free: int = 1

    @property
    def manifest_hash(self) -> str | None:
        """What the next manifest names as the one before it."""
        return self.manifest.manifest_hash if self.manifest is not None else None


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """A manifest as it stands in the chain."""

    manifest: Manifest
    #: The name and hash of its object, as ``name@sha256:…``.
    ref: str


class Chain:
    """The manifests in ``objects``. Its methods raise the error of the objects' use."""

    def __init__(self, objects: Objects, prefix: str = PREFIX) -> None:
        self._objects = objects
        self.prefix = prefix
        self.url = objects.url

    def name(self, number: int) -> str:
        """Return the name of manifest number ``number``."""
        return f"{self.prefix}{number:012}.json"

    def number(self, name: str) -> int | None:
        """Return the number in an object's name, or ``None`` where it is not a manifest's name."""
        match = _NUMBER.fullmatch(name.removeprefix(self.prefix))
        return int(match[1]) if match is not None else None

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and bytes of every object, in order; a missing one has no bytes."""
        for entry in self._objects.entries(self.prefix):
            yield entry.name, self._objects.get(entry.name) or b""

    def strange(self) -> Iterator[str]:
        """Yield the names among them that nothing of ours has, and that nothing opens."""
        return self._objects.strange(self.prefix)

    def manifests(self) -> Iterator[Manifest]:
        """Yield the manifests in order.

        Raises:
            ManifestInvalid: An object with a manifest's name is not a manifest.
        """
        for name, data in self.objects():
            if self.number(name) is None:
                continue
            try:
                yield decode(data)
            except ManifestInvalid as error:
                raise ManifestInvalid(f"{name}: {error.what}", todo="Verify the chain") from None

    def end(self) -> End:
        """Return where the chain ends; what is not the manifest of its number is skipped.

        Anybody who may add to the place may add nonsense, or a manifest with a signature that is
        wrong. A few such objects stop no rotation, and :mod:`~daena_kms.kms.manifests.verify` names
        them. A number far above the rest is skipped as well: after the highest possible number
        nothing could be added.

        Raises:
            AuditUnavailable: The last hundred objects are none of them manifests. Nothing was
                changed.
        """
        names = (self.number(entry.name) for entry in self._objects.entries(self.prefix))
        near = [0]
        for number in sorted(filter(None, names)):
            if number - near[-1] > _GAP:
                break
            near.append(number)
        taken = set(near)
        for number in near[: -_MOST - 1 : -1]:
            manifest = self._read(number) if number else None
            if manifest is not None or not number:
                free = next(n for n in count(number + 1) if n not in taken)
                return End(number, manifest, free)
        msg = f"the last {_MOST} objects in {self.url} are not manifests"
        raise AuditUnavailable(msg, todo="Verify the chain, and find out who fills it")

    def append(
        self, make: Callable[[int, str | None], Manifest], end: End | None = None
    ) -> ChainEntry:
        """Add the manifest that ``make(number, hash before it)`` returns.

        Args:
            make: Called again where another writer has taken the number.
            end: Where the chain ended a moment ago; others may have added to it since.

        Raises:
            AuditUnavailable: A hundred names were taken since then.
        """
        last = self.end() if end is None else end
        for number in range(last.free, min(last.free + _MOST, _LAST + 1)):
            manifest = make(number, last.manifest_hash)
            data, name = encode(manifest), self.name(number)
            there = self._objects.create(name, data, MAX_BYTES + 1)
            if there == data:
                return ChainEntry(manifest, f"{name}@{digest(data)}")
            other = self._manifest(number, there)
            last = last if other is None else End(number, other)
        msg = f"no manifest could be added to {self.url}: {_MOST} names are taken"
        raise AuditUnavailable(msg, todo="Verify the chain, and find out who fills it")

    def fill(self, manifests: list[Manifest]) -> None:
        """Add manifests as they are to an empty chain, or resume an import of the same ones.

        Raises:
            ConfigError: The chain holds other manifests.
        """
        msg = f"{self.url} holds other manifests already"
        occupied = ConfigError(msg, todo="Import before the first rotation is recorded")
        if self.end().number > len(manifests):
            raise occupied
        for number, manifest in enumerate(manifests, start=1):
            data = encode(manifest)
            if self._objects.create(self.name(number), data, len(data) + 1) != data:
                raise occupied

    def _read(self, number: int) -> Manifest | None:
        """Return the manifest of that number, or ``None`` when something else is there."""
        data = self._objects.get_up_to(self.name(number), MAX_BYTES + 1)
        return self._manifest(number, data or b"")

    def _manifest(self, number: int, data: bytes) -> Manifest | None:
        try:
            manifest = decode(data)
        except ManifestInvalid:
            return None
        return manifest if manifest.seq in {None, number} and _holds(manifest) else None


def _holds(manifest: Manifest) -> bool:
    """Whether a manifest is as its signer signed it, whoever that is.

    Which signers are trusted is a verifier's question. The older system's signature takes a key
    that a writer does not have.
    """
    if not hash_fits(manifest):
        return False
    if manifest.old:
        return True
    try:
        return checks(str(manifest.signed_by), manifest.manifest_hash, manifest.signature)
    except ConfigError:  # not even a public key
        return False
