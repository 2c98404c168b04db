"""A value has leaked: what a run must be told, and how people are told what came of it. Pure."""

from daena_kms.errors import ConfigError
from daena_kms.rules.model import NEVER_CURRENT, Key, Revoking, VersionState
from daena_kms.rules.specs import Spec

#: What reads beside the current version, if only by its id.
_READABLE = {VersionState.PREVIOUS, *NEVER_CURRENT}


def check_emergency(*, named: bool, reason: str | None, dry_run: bool) -> None:
    """Raise :class:`ConfigError` unless an emergency rotation names keys and says why."""
    if not named:
        msg = "an emergency rotation names no key"
        raise ConfigError(msg, todo="Name the keys whose values are compromised, and no other")
    if not dry_run and (reason is None or not reason.strip()):
        msg = "an emergency rotation gives no reason"
        raise ConfigError(msg, todo="Give one, for the audit log: what leaked, and a ticket")


def revoked(key: Key, version: str, revoking: Revoking, spec: Spec) -> str:
    """Return what the retirement of a compromised version came to, in words for people.

    ``key`` is the key as it was right before.
    """
    readable = revoking.readable or "by nobody"
    said = f"version {version} is retired: {revoking.means}; readable still: {readable}"
    others = [v.id for v in key.versions if v.state in _READABLE and v.id != version]
    if others:
        said += f". Versions that were not current read on as before: {', '.join(others)}"
    if spec.protects_data:
        said += f". Older data may need it; to get at it: {revoking.undo}"
    return said
