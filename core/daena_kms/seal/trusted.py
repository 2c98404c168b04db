"""What a verifier trusts: keys, and a checkpoint that was kept elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from daena_kms.audit.records import split_name
from daena_kms.errors import ConfigError
from daena_kms.seal.notes import (
    MAX_NOTE,
    Checkpoint,
    NotANote,
    VerifierKey,
    read_checkpoint,
    read_note,
)
from daena_kms.seal.signers import FILE, open_signers
from daena_kms.settings import Settings


def trusted_keys(settings: Settings, given: Sequence[str]) -> list[VerifierKey]:
    """Return the keys that a verifier trusts: those given, or the public halves of our own.

    Args:
        settings: The environment's.
        given: Verifier's keys, as ``audit key`` prints them.

    Raises:
        ConfigError: One of them is malformed, or one in ``DAENA_KMS_SEAL_KEY`` is.
        DaenaKMSError: A cloud's KMS refuses, or does not answer.
    """
    if given:
        return [VerifierKey.parse(text) for text in given]
    origin = settings.seal_origin
    if origin is None:
        return []
    if not settings.seal_keys:
        home = settings.get("DAENA_KMS_HOME")
        if home is None or not (settings.home / FILE).exists():
            return []
    return [signer.key for signer in open_signers(settings, origin, sealed=True)]


def read_since(
    text: str | None, keys: Sequence[VerifierKey]
) -> tuple[str | None, Checkpoint | None]:
    """Return what was kept elsewhere: a closing record as ``name@hash``, or a checkpoint.

    Args:
        text: ``name@sha256:…``, or the path of a checkpoint's file.
        keys: The keys that are trusted.

    Raises:
        ConfigError: It is neither; or the checkpoint has a wrong signature, or one by none of the
            keys.
    """
    if text is None:
        return None, None
    name, at, _ = text.partition("@sha256:")
    if at and split_name(name) is not None:
        return text, None
    todo = "Give name@sha256:… as audit verify prints it, or the path of a checkpoint"
    path = Path(text).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_NOTE + 1)
    except (OSError, ValueError):
        msg = f"{text[:200]!r} is not a closing record, nor a checkpoint's file that can be read"
        raise ConfigError(msg, todo=todo) from None
    try:
        note = read_note(data)
        found = read_checkpoint(note)
        signed = note.check(keys)
    except NotANote as error:
        raise ConfigError(f"{path} {error}", todo=todo) from None
    if keys and not signed:
        msg = f"{path} was signed by none of the keys that are trusted"
        raise ConfigError(msg, todo="Give the key that signed it with --key as well")
    return None, found
