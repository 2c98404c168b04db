"""Who wrote the database: what stands in it beside the values is authenticated as well.

Each key's rows carry a code (HMAC-SHA256). The row ``root`` seals what stands for all codes
together, with a number that grows with each change. So somebody who can write the file, and does
not have the master key, can neither change a row, nor add one, nor remove one, nor put one back to
what it was. Only a whole older file is right in itself: the number in the audit log shows that.

The sum of all keys is the XOR of a code for each, sealed, because whoever saw many sums could
combine them. A change of one key needs no other key's rows; a row that does not belong there stays
in the difference until it is gone, however many other keys are written after it.
"""

import hmac
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daena_kms.stores.local.rows import Rows

_NONCE_BYTES = 12
_STORE_BYTES = 16
_SUM_BYTES = 32
_ROOT = struct.Struct(f">{_STORE_BYTES}sQ{_SUM_BYTES}s")
_NAME = b"daena-kms root"
#: How many bits of a code stand in the audit log, in a number that every reader of JSON keeps.
_TOLD_BITS = 48


@dataclass(frozen=True, slots=True)
class Root:
    """What stands for the whole database."""

    #: Which store this is, in hexadecimal.
    store: str
    #: How often it was changed.
    generation: int
    sum: bytes

    def after(self, *codes: bytes) -> "Root":
        """Return the root after a change: ``codes`` are those of the rows before and after it."""
        return Root(self.store, self.generation + 1, _xor(self.sum, *codes))


class Prover:
    """Seals values, and proves rows, with the master key of one store."""

    def __init__(self, master_key: bytes) -> None:
        self._cipher = AESGCM(master_key)
        self._rows = hmac.digest(master_key, b"daena-kms local store: rows", sha256)
        self._all = hmac.digest(master_key, b"daena-kms local store: sum", sha256)
        self._told = hmac.digest(master_key, b"daena-kms local store: generation", sha256)

    def seal(self, data: bytes, name: bytes) -> bytes:
        """Return data encrypted; only the same ``name`` decrypts it again."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, name)

    def unseal(self, sealed: object, name: bytes) -> bytes | None:
        """Return what was encrypted under ``name``, or ``None`` for anything else."""
        if not isinstance(sealed, bytes):
            return None
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name)
        except (InvalidTag, ValueError):
            return None

    def proof(self, rows: Rows) -> bytes:
        """Return the code over one key's rows."""
        return hmac.digest(self._rows, rows.text(), sha256)

    def proves(self, rows: Rows) -> bool:
        """Whether the rows are as they were written."""
        return isinstance(rows.proof, bytes) and hmac.compare_digest(rows.proof, self.proof(rows))

    def code(self, key_id: object, proof: object) -> bytes:
        """Return what stands for one key in the sum of all."""
        parts = f"{key_id!r}".encode("utf-8", "surrogatepass"), f"{proof!r}".encode()
        return hmac.digest(self._all, b"\0".join(parts), sha256)

    def sum(self, keys: Iterable[tuple[object, object]]) -> bytes:
        """Return the sum of all keys, from their ids and proofs."""
        return _xor(*(self.code(key_id, proof) for key_id, proof in keys))

    def seal_root(self, root: Root) -> bytes:
        """Return the root in the form in which the database holds it."""
        return self.seal(_ROOT.pack(bytes.fromhex(root.store), root.generation, root.sum), _NAME)

    def unseal_root(self, sealed: object) -> Root | None:
        """Return the root, or ``None`` if this is none of this master key's."""
        data = self.unseal(sealed, _NAME)
        if data is None or len(data) != _ROOT.size:
            return None
        store, generation, total = _ROOT.unpack(data)
        return Root(store.hex(), generation, total)

    def told(self, store: str, generation: int) -> int:
        """Return the number that proves in the audit log that this store had this generation."""
        message = f"{store} {generation}".encode()
        code = hmac.digest(self._told, message, sha256)
        return int.from_bytes(code) >> (8 * sha256().digest_size - _TOLD_BITS)


def new_store() -> str:
    """Return the id of a new store."""
    return os.urandom(_STORE_BYTES).hex()


def _xor(*codes: bytes) -> bytes:
    total = 0
    for code in codes:
        total ^= int.from_bytes(code)
    return total.to_bytes(_SUM_BYTES)
