"""Hand a sealed log over: as a folder with all of it, or as a proof for one record.

https://c2sp.org/tlog-proof
"""

import base64
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.objects.base import Objects
from daena_kms.seal.check import SINGLE
from daena_kms.seal.form import Leaf, Seal
from daena_kms.seal.notes import MAX_NOTE, NotANote, read_checkpoint, read_note, unbased
from daena_kms.seal.place import MAX_TILE, Seals, added, checkpoint_name
from daena_kms.seal.tiles import Growth, TileReader
from daena_kms.seal.tree import Edge, inclusion, leaf_hash, root_by

_HEADER = "c2sp.org/tlog-proof@v1"
_PROOF = re.compile(
    rf"{re.escape(_HEADER)}\n(?:extra \S+\n)?index (0|[1-9][0-9]{{0,18}})((?:\n\S+)*)", re.ASCII
)
_LOG = "log/"
_SEAL_FIRST = "Run audit seal, then try again"


def signed(seals: Seals) -> tuple[Seal, bytes]:
    """Return the newest seal that is signed, and its checkpoint.

    Raises:
        ConfigError: Nothing is sealed and signed.
        AuditUnavailable: The place for seals can't be read.
    """
    newest = seals.newest()
    for seal in seals.backwards(-1 if newest is None else newest.number):
        note = seals.place.get_up_to(checkpoint_name(seal.size), MAX_NOTE + 1)
        if note is not None and seal.size:
            return seal, note
    raise ConfigError("nothing is sealed and signed yet", todo=_SEAL_FIRST)


def export(log: Objects, place: Objects, folder: Path) -> tuple[int, Seal]:
    """Copy a sealed log into a folder of the form of tlog-tiles, with its records and seals.

    Args:
        log: The log.
        place: The place for seals.
        folder: A new or empty folder, or one with an export that was broken off.

    Returns:
        How many objects of the log were copied, and the newest seal that is signed.

    Raises:
        ConfigError: Nothing is sealed; the folder can't be written, or holds something else.
        AuditUnavailable: The log or the seals can't be read.
    """
    seals = Seals(place)
    seal, note = signed(seals)
    try:
        for name in _up_to(seals, seal):
            _copy(place, folder, name)
        copied = 0
        for entry in log.scan(_LOG):
            _copy(log, folder, entry.name)
            copied += 1
        _write(folder, SINGLE, note)
    except OSError as error:
        msg = f"{folder} can't be written: {error.strerror}"
        raise ConfigError(msg, todo="Export to a new folder of your own") from error
    return copied, seal


def _up_to(seals: Seals, last: Seal) -> Iterator[str]:
    """Yield the names of the seals up to one, and of the tiles and bundles that follow from them.

    Another sealer may be at work: what follows from later seals would not fit.
    """
    growth = Growth(Edge())
    for number in range(last.number + 1):
        seal = seals.get(number)
        yield seal.name
        yield from [name for name, _ in added(growth, seal)]
        yield from [name for name, _ in growth.partial()]


def _copy(source: Objects, folder: Path, name: str) -> None:
    data = source.get(name)
    if data is not None:
        _write(folder, name, data)


def _write(folder: Path, name: str, data: bytes) -> None:
    """Write a file, or find it written: a copy may be made anew, and so is not synced.

    ``name`` is plain: it leads nowhere else.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        if path.read_bytes() != data:
            msg = f"{folder} holds {name} already, with another content"
            raise ConfigError(msg, todo="Export to a new folder") from None


def prove(place: Objects, name: str) -> bytes:
    """Return the proof that an object is in the sealed log.

    Args:
        place: The place for seals.
        name: The object, as ``audit verify`` and the listing name it.

    Raises:
        ConfigError: It is not sealed and signed.
        AuditUnavailable: The seals can't be read, or don't lead to their checkpoint.
    """
    seals = Seals(place)
    seal, note = signed(seals)
    found = _find(seals, seal, name)
    if found is None:
        msg = f"{name[:200]!r} is not in the sealed log"
        raise ConfigError(msg, todo=f"Give an object's whole name, log/…/….json. {_SEAL_FIRST}")
    index, leaf = found

    def tile(tile_name: str) -> bytes | None:
        return place.get_up_to(tile_name, MAX_TILE)

    path, root = list[bytes](), b""
    try:
        root = read_checkpoint(read_note(note)).root
        path = inclusion(index, seal.size, TileReader(tile, seal.size).subtree)
        wrong = "the tiles do not lead to the checkpoint"
    except NotANote as error:
        wrong = f"{checkpoint_name(seal.size)} {error}"
    except LookupError as missing:
        wrong = f"{missing} is missing, or has another length"
    if root_by(index, seal.size, leaf_hash(leaf.text), path) == root:
        return _text(index, path) + note
    raise AuditUnavailable(f"{wrong} in {place.url}", todo="Run audit verify")


def _text(index: int, path: list[bytes]) -> bytes:
    lines = [_HEADER, f"index {index}", *(base64.b64encode(h).decode() for h in path), "", ""]
    return "\n".join(lines).encode()


def _find(seals: Seals, last: Seal, name: str) -> tuple[int, Leaf] | None:
    """Return a leaf and its index, from the newest seal on backwards."""
    for seal in seals.backwards(last.number):
        for index, leaf in enumerate(seal.leaves, seal.first):
            if leaf.name == name:
                return index, leaf
    return None


def read_proof(data: bytes) -> tuple[int, list[bytes], bytes]:
    """Return the index, the hashes and the checkpoint in a proof.

    Raises:
        ConfigError: It is not a proof.
    """
    head, _, note = data.partition(b"\n\n")
    match = _PROOF.fullmatch(head.decode("ascii", "replace"))
    path: list[bytes] | None = None
    with contextlib.suppress(ValueError):
        path = [unbased(x) for x in match[2].split()] if match else None
    if match is None or path is None:
        raise ConfigError("this is not a proof", todo="Give a file that audit prove made")
    return int(match[1]), path, note
