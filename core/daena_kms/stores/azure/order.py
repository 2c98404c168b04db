"""In which order the versions of a secret were made, and which one is the newest.

Key Vault lists versions by id. Their dates are whole seconds, so several versions may share one. A
version that we set carries a name of ours in the tag ``daena-version``, which says when it was
made and from which version.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daena_kms.rules.model import PROMOTION_BOUND
from daena_kms.rules.names import PLAUSIBLE_YEARS, base_mark_of, mark, parse_version_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azure.keyvault.secrets import SecretProperties

#: The tag with a version's name of ours.
NAME = "daena-version"
#: A version is set right after its id was stamped; Key Vault's dates are whole seconds.
_STAMPED = timedelta(minutes=5)
#: Dates that are no further apart do not say which version is the newer one.
_CLOSE = timedelta(seconds=5)


def newest_of(listed: "list[SecretProperties]") -> "SecretProperties":
    """Return the newest of a secret's versions; the vault has said that it is disabled.

    Where dates tie, the newest is the disabled one.
    """
    return max(listed, key=lambda p: (age(p), p.enabled is False))


def clear_newest(listed: "Sequence[SecretProperties]") -> "SecretProperties | None":
    """Return the newest of all versions of a secret, or ``None`` if the list leaves that open.

    The vault's own dates decide. Of versions that were made within a few seconds the newest is
    the one that was made from all others, as their names of ours say.
    """
    dates = [date_of(version.created_on) for version in listed]
    known = [date for date in dates if date is not None]
    if not known or len(known) < len(dates):
        return None
    last = max(known)
    close = [v for v, date in zip(listed, known, strict=True) if last - date <= _CLOSE]
    by_mark = {mark(version.version): version for version in close}
    newest = in_order(close)[-1]
    before, version = 0, by_mark.get(base_mark_of(own_name(newest)) or "")
    while version is not None and version is not newest and before < len(close):
        before += 1
        version = by_mark.get(base_mark_of(own_name(version)) or "")
    return newest if version is None and before == len(close) - 1 else None


def in_order(listed: "Iterable[SecretProperties]") -> "list[SecretProperties]":
    """Return versions in the order in which they were made; their dates are whole seconds."""
    versions = list(listed)
    by_mark = {mark(p.version): p for p in versions}

    def ancestors(version: "SecretProperties | None") -> int:
        count = 0
        while version is not None and count < len(versions):
            version = by_mark.get(base_mark_of(own_name(version)) or "")
            count += 1
        return count

    return sorted(versions, key=lambda p: (age(p), ancestors(p)))


def own_name(properties: "SecretProperties") -> str | None:
    """Return the version's name of ours, unless it was copied from an older version."""
    name = (properties.tags or {}).get(NAME, "")
    parsed = parse_version_id(name)
    if parsed is None or age(properties) - parsed.made > PROMOTION_BOUND + _STAMPED:
        return None
    return name


def age(properties: "SecretProperties") -> datetime:
    """Return when a version was made: the vault's date, or the stamp in its name if it is later.

    They differ by less than a second or two, unless a clock is wrong: then the key is reported.
    """
    created = date_of(properties.created_on)
    if created is None or created.year not in PLAUSIBLE_YEARS:
        created = datetime.fromtimestamp(0, UTC)
    created = created.astimezone(UTC)
    parsed = parse_version_id((properties.tags or {}).get(NAME, ""))
    return created if parsed is None else max(created, parsed.made)


def date_of(value: object) -> datetime | None:
    """Return a date, or ``None`` for a malformed value, which the SDK passes through."""
    return value if isinstance(value, datetime) else None
