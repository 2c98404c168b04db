"""Take over the manifests of the older system: files in a folder, one chain, signed with HMAC."""

from collections.abc import Iterable
from pathlib import Path

from daena_kms.errors import ConfigError, ManifestInvalid
from daena_kms.kms.manifests.format import MAX_BYTES, Manifest, decode, encode, hash_fits
from daena_kms.kms.manifests.signing import old_signature

_TODO = "Nothing was imported. Compare with a backup of the older system's folder"


def read_old(folder: Path, hmac_key: str | bytes) -> list[Manifest]:
    """Return the older system's manifests in ``folder`` (``*.json``), in the order of their chain.

    The names of the files don't matter: each manifest names the hash of the one before it. Raises
    :class:`ManifestInvalid` that names the first file that is wrong, and :class:`ConfigError` for
    a folder that holds none or can't be read.
    """
    manifests: dict[str, tuple[str, Manifest]] = {}
    for path in _files(folder):
        manifest = _read(path, hmac_key)
        other = manifests.setdefault(manifest.manifest_hash, (path.name, manifest))
        if other[0] != path.name:
            raise _invalid(path.name, f"is the same manifest as {other[0]}")
    if not manifests:
        raise ConfigError(f"{folder} holds no manifests", todo="Name the older system's folder")
    return _in_order(manifests)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        msg = f"the folder {folder} can't be read: {error.strerror}"
        raise ConfigError(msg, todo="Name the older system's folder of manifests") from error


def _read(path: Path, hmac_key: str | bytes) -> Manifest:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(path.name, f"can't be read: {error.strerror}") from error
    try:
        manifest = decode(data)
    except ManifestInvalid:
        raise _invalid(path.name, "is not a manifest") from None
    if not manifest.old:
        raise _invalid(path.name, "is not from the older system")
    if len(encode(manifest)) > MAX_BYTES:  # in ASCII it may be thrice as long as in the file
        raise _invalid(path.name, f"is longer than {MAX_BYTES} bytes in the chain's form")
    if not hash_fits(manifest):
        raise _invalid(path.name, "was changed: its hash does not match its content")
    if manifest.signature != old_signature(hmac_key, manifest.manifest_hash):
        raise _invalid(path.name, "has a signature that does not match this HMAC key")
    return manifest


def _in_order(manifests: dict[str, tuple[str, Manifest]]) -> list[Manifest]:
    after: dict[str | None, tuple[str, Manifest]] = {}
    for name, manifest in manifests.values():
        before = manifest.prev_manifest_hash
        if before is not None and before not in manifests:
            raise _invalid(name, "follows a manifest that is missing")
        other = after.setdefault(before, (name, manifest))
        if other[0] != name:
            raise _invalid(name, f"follows the same manifest as {other[0]}: the chain forks")
    # One is the first, each other follows one, no two follow the same; hashes allow no circle.
    return list(_walk(after))


def _walk(after: dict[str | None, tuple[str, Manifest]]) -> Iterable[Manifest]:
    at: str | None = None
    while at in after:
        manifest = after[at][1]
        yield manifest
        at = manifest.manifest_hash


def _invalid(name: str, what: str) -> ManifestInvalid:
    return ManifestInvalid(f"{name} {what}", todo=_TODO)
