"""The master key of the local store: from the environment, or from a file that is made once."""

import base64
import contextlib
import os
import tempfile
from pathlib import Path

from daena_kms.errors import ConfigError
from daena_kms.objects.private import read_private

_KEY_BYTES = 32


def load_master_key(home: Path, database: Path, given: str | None) -> bytes:
    """Return the master key.

    Args:
        home: The folder of the file ``master.key``, which is made if there is no database yet.
        database: The database that the key decrypts.
        given: Base64 of the key, where the environment holds it.

    Raises:
        ConfigError: It is malformed, missing, or open to others.
        OSError: The file can't be read or made.
    """
    if given is not None:
        return _decode(given, "DAENA_KMS_MASTER_KEY")
    path = home / "master.key"
    # Checked in this order, because a store's key is made before the store.
    made = database.exists()
    if not path.exists():
        if made:
            msg = f"{path} is missing, and {database} can't be decrypted without it"
            raise ConfigError(msg, todo="Put the file back, or set DAENA_KMS_MASTER_KEY")
        _make(path)
    return _decode(read_private(path), str(path))


def _make(path: Path) -> None:
    # Written whole and then linked: if several processes make it at once, one wins, and none
    # reads half a key.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".master-")
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(os.urandom(_KEY_BYTES)))
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(name)
    Path(name).unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _decode(text: str | bytes, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        msg = f"{name} is not a master key"
        raise ConfigError(msg, todo="Use base64 of 32 random bytes: openssl rand -base64 32")
    return key
