"""Verify an exported audit log, or the proof of one record, without daena-kms.

    python verify_log.py FOLDER VKEY [CHECKPOINT]     a folder that ``audit export`` wrote
    python verify_log.py RECORD NAME PROOF VKEY       one record, its name and its .tlog-proof

It needs Python 3.10 and the package ``cryptography``, and reads only the files that are named. The
VKEY is the log's verifier key, which you got by another way than the folder. CHECKPOINT is one that
you kept from an earlier time: the log must have grown from it. Exit 0: nothing is wrong.

It follows https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint,
https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-proof and RFC 6962.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

HASH, WIDTH = 32, 256
PROOF = "c2sp.org/tlog-proof@v1"


class WrongLogError(Exception):
    """The log is not what was signed."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf: RFC 6962, section 2.1."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf; it keeps one hash for each power of two in its size."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: list[bytes] = []

    def add(self, hashed: bytes) -> None:
        """Add a leaf's hash."""
        size = self.size
        while size & 1:
            hashed = node_hash(self._whole.pop(), hashed)
            size >>= 1
        self._whole.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash of the tree."""
        if not self._whole:
            return hashlib.sha256().digest()
        *others, found = self._whole
        for left in reversed(others):
            found = node_hash(left, found)
        return found


def read_checkpoint(data: bytes, vkey: str | None) -> tuple[str, int, bytes]:
    """Return a checkpoint's origin, size and root, after its signature was checked.

    Args:
        data: The signed note.
        vkey: Who must have signed it; ``None``: nothing is checked.
    """
    head, found, tail = data.rpartition(b"\n\n")
    text = head + b"\n"
    lines = text.decode().split("\n")
    if not found or len(lines) < 4:
        raise WrongLogError("the checkpoint is not a signed note")
    if vkey is not None and not any(signed(text, line, vkey) for line in tail.decode().split("\n")):
        raise WrongLogError("the checkpoint was not signed by the key that you trust")
    root = base64.b64decode(lines[2], validate=True)
    if len(root) != HASH:
        raise WrongLogError("the checkpoint has no root")
    return lines[0], int(lines[1]), root


def signed(text: bytes, line: str, vkey: str) -> bool:
    """Whether a line is that key's signature of a text. A wrong one of its is an error."""
    name, key_id, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    kind, public = raw[0], raw[1:]
    hashed = public if kind == 2 else f"{name}\n".encode() + raw
    if hashlib.sha256(hashed).hexdigest()[:8] != key_id:
        raise WrongLogError("the verifier key's id is not its own")
    parts = line.split(" ")
    if len(parts) != 3 or parts[:2] != ["\u2014", name]:
        return False
    signature = base64.b64decode(parts[2], validate=True)
    if signature[:4].hex() != key_id:
        return False
    try:
        if kind == 1:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], text)
        elif kind == 2:
            key = load_der_public_key(public)
            if not isinstance(key, EllipticCurvePublicKey):
                raise WrongLogError("the verifier key is of another kind than it says")
            key.verify(signature[4:], text, ECDSA(SHA256()))
        else:
            raise WrongLogError("the verifier key is of a kind that this program does not know")
    except InvalidSignature:
        raise WrongLogError("the checkpoint's signature is wrong") from None
    return True


def tile_path(folder: Path, level: str, index: int, width: int) -> Path:
    """Return the path of a tile or bundle."""
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03}")
    path = folder / "tile" / level / "/".join(parts)
    return path if width == WIDTH else path.with_name(path.name + ".p") / str(width)


def leaves(folder: Path, size: int) -> Iterator[bytes]:
    """Yield the leaves out of the bundles, each held against its hash in the tile."""
    for index in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - index * WIDTH)
        bundle = tile_path(folder, "entries", index, width).read_bytes()
        tile = tile_path(folder, "0", index, width).read_bytes()
        at, found = 0, []
        while at < len(bundle):
            length = int.from_bytes(bundle[at : at + 2], "big")
            found.append(bundle[at + 2 : at + 2 + length])
            at += 2 + length
        if at != len(bundle) or b"".join(map(leaf_hash, found)) != tile or len(found) != width:
            raise WrongLogError(f"bundle {index} is not what its tile says")
        yield from found


def verify_folder(folder: Path, vkey: str, kept: Path | None) -> str:
    """Verify an exported folder, and return what it is."""
    origin, size, root = read_checkpoint((folder / "checkpoint").read_bytes(), vkey)
    before = read_checkpoint(kept.read_bytes(), vkey) if kept is not None else None
    if before is not None and (before[0] != origin or before[1] > size):
        raise WrongLogError(
            "the log was rolled back, or is another one than the checkpoint you kept"
        )
    tree = Tree()
    seen: set[str] = set()
    in_seals = sealed_names(folder)
    for leaf in leaves(folder, size):
        if before is not None and before[1] == tree.size and before[2] != tree.root():
            raise WrongLogError("the log did not grow from the checkpoint you kept")
        tree.add(leaf_hash(leaf))
        name, hashed, length = leaf.decode("ascii").removesuffix("\n").split(" ")
        if next(in_seals, None) != (name, hashed, length):
            raise WrongLogError(f"{name}: the seals say something else than the tree")
        if name in seen:
            raise WrongLogError(f"{name}: sealed twice")
        seen.add(name)
        check_record(folder, name, hashed, int(length))
    if tree.root() != root:
        raise WrongLogError("the leaves do not lead to the root that was signed")
    if before is not None and before[1] == size and before[2] != root:
        raise WrongLogError("the log did not grow from the checkpoint you kept")
    later = [path for path in (folder / "log").rglob("*") if path.is_file()]
    unsealed = sum(path.relative_to(folder).as_posix() not in seen for path in later)
    return f"{origin}: {size} objects are as they were sealed; {unsealed} are not sealed"


def sealed_names(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what the seals say of each object, in order."""
    for path in sorted((folder / "seal").glob("*.json")):
        for leaf in json.loads(path.read_bytes())["leaves"]:
            name, hashed, length = leaf.split(" ")
            yield name, hashed, length


def check_record(folder: Path, name: str, hashed: str, length: int) -> None:
    """Hold a record against its leaf."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise WrongLogError(f"{name}: not a record's name")
    if not path.is_file():
        raise WrongLogError(f"{name}: missing")
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
            size += len(data)
    if (f"sha256:{digest.hexdigest()}", size) != (hashed, length):
        raise WrongLogError(f"{name}: changed")


def verify_proof(record: Path, name: str, proof: Path, vkey: str) -> str:
    """Verify that one record is in the log."""
    data = record.read_bytes()
    leaf = f"{name} sha256:{hashlib.sha256(data).hexdigest()} {len(data)}\n".encode("ascii")
    head, _, note = proof.read_bytes().partition(b"\n\n")
    lines = [line for line in head.decode("ascii").split("\n") if not line.startswith("extra ")]
    if lines[0] != PROOF or not lines[1].startswith("index "):
        raise WrongLogError("this is not a proof")
    index = int(lines[1].removeprefix("index "))
    origin, size, root = read_checkpoint(note, vkey)
    if root_by(index, size, leaf_hash(leaf), lines[2:]) != root:
        raise WrongLogError(f"{name} with this content is not in the log")
    return f"{origin}: {name} is object {index} of {size}, with this content"


def root_by(index: int, size: int, hashed: bytes, path: list[str]) -> bytes | None:
    """Return the root that a proof leads to: RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        return None
    node, last = index, size - 1
    for encoded in path:
        if last == 0:
            return None
        other = base64.b64decode(encoded, validate=True)
        if node & 1 or node == last:
            hashed = node_hash(other, hashed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hashed = node_hash(hashed, other)
        node, last = node >> 1, last >> 1
    return hashed if last == 0 else None


def main(arguments: list[str]) -> int:
    """Verify what the arguments name."""
    try:
        if len(arguments) == 4:
            record, name, proof, vkey = arguments
            result = verify_proof(Path(record), name, Path(proof), vkey)
        elif len(arguments) in {2, 3}:
            kept = Path(arguments[2]) if len(arguments) == 3 else None
            result = verify_folder(Path(arguments[0]), arguments[1], kept)
        else:
            sys.stderr.write(__doc__ or "")
            return 2
    except (WrongLogError, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"WRONG: {error}\n")
        return 1
    sys.stdout.write(f"ok: {result}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
