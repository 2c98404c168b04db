"""When a value has leaked: what a run needs to know, and what it says about the result. Pure."""

from daena_kms.errors import ConfigError
from daena_kms.rules.model import NEVER_CURRENT, Key, Revoking, VersionState

#: The states of versions that can be read beside the current one, if only by their ids.
_READABLE = {VersionState.PREVIOUS, *NEVER_CURRENT}


def check_emergency(*, named: bool, reason: str | None, dry_run: bool) -> None:
    """Check that an emergency rotation names keys and gives a reason.

    Raises:
        ConfigError: The keys or the reason are missing; a dry run needs no reason.
    """
    if not named:
        msg = "an emergency rotation names no key"
        raise ConfigError(msg, todo="Name the keys whose values are compromised, and no others")
    if not dry_run and (reason is None or not reason.strip()):
        msg = "an emergency rotation has no reason"
        raise ConfigError(msg, todo="Give one for the audit log: what leaked, and a ticket")


def revoked(key: Key, version: str, revoking: Revoking, *, protects: bool) -> str:
    """Return what revoking a compromised version has done, in words for people.

    Args:
        key: The key as it was right before.
        version: The id of the version.
        revoking: What revoking means on this store.
        protects: Whether older data may need the version.
    """
    readable = revoking.readable or "nobody"
    text = f"version {version} is retired: {revoking.means}. Who can still read it: {readable}"
    others = [
        v.id for v in key.versions if v.state in _READABLE and v.id != version and not v.unlabelled
    ]
    if others:
        text += f". Versions that were not current stay readable: {', '.join(others)}"
    if protects:
        text += f". Older data may need it. How to read it again: {revoking.undo}"
    return text
