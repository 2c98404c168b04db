"""What Secret Manager shows of a secret, as a key and its versions. No calls.

A listing shows a secret's annotations and aliases and none of its versions, so what planning needs
to know of them stands in the annotations. ``daena-versions`` says of each version, by its number,
when it was made, from which version, until when it was current and since when it is retired, and
the etag that it was made with.
``daena-claim`` is the claim of a rotation under way. ``daena-compromised`` names the versions that
an emergency rotation has marked, each with what became of it: ``pending`` or ``revoked``. It stands
apart from the records, so that a rotation under way keeps a mark that is set meanwhile. The
secret's etag covers all of them.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_time, parse_time
from daena_kms.rules.model import NEVER_CURRENT, Key, Version, VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.policy import MANAGED, PREFIX

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import Secret, SecretVersion

CURRENT, PREVIOUS = "current", "previous"
VERSIONS, CLAIM, DELETED = "daena-versions", "daena-claim", "daena-deleted"
COMPROMISED = "daena-compromised"
PENDING_MARK, REVOKED_MARK = "pending", "revoked"
LABEL = "daena-managed"
#: One stands in a hundred bytes of the 16 KiB that annotations may have.
MAX_VERSIONS = 100
#: So many more an emergency rotation may add: there is room in the 16 KiB for their records.
RESERVE = 10
#: The newest so many marks are kept.
_MAX_MARKS = 100
_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
#: The errors of reading a malformed annotation: anybody may have written it.
_BROKEN = (ValueError, KeyError, TypeError, OverflowError, RecursionError, ConfigError)


@dataclass(frozen=True, slots=True)
class Record:
    """What the annotations say of one version."""

    #: When it was made.
    at: datetime
    #: The version that its rotation started from.
    base: str | None = None
    #: Until when it was current; for one that never was, when it was abandoned.
    until: datetime | None = None
    retired: datetime | None = None
    #: Never current: left by an interrupted rotation.
    orphan: bool = False
    #: The version's etag from when we added it, without its quotes; dropped when it is retired.
    #: While it is the version's own, nobody has disabled it or asked for its destruction.
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of one rotation: the right to add the next version and to make it current."""

    id: str
    #: The highest version number when the rotation began; 0 for none.
    highest: int
    at: datetime
    until: datetime
    #: When the first of the claims began that this one took over after crashes.
    since: datetime | None = None


def to_key(secret: "Secret", listed: "Iterable[SecretVersion] | None" = None) -> Key:
    """Return the key; ``listed`` are all its versions, where they were listed."""
    annotations = dict(secret.annotations)
    key_id = secret.name.rpartition("/")[2]
    trouble, broken, records = None, None, {}
    try:
        records = read_records(annotations)
    except ConfigError as error:
        trouble, broken = error.what, str(error)
    marks: dict[str, str] = {}
    try:
        marks = read_marks(annotations)
    except ConfigError as error:
        broken = broken or str(error)
    shown = None if listed is None else {number(v.name): v for v in listed}
    # A broken record is one of ours that somebody changed.
    enrolled = bool(records) or trouble is not None or _lost_records(secret)
    managed = enrolled and annotations.get(MANAGED) == "true"
    current = _current(secret, records)
    if current is None and not managed and CLAIM not in annotations:
        current = _newest(shown)
    versions = tuple(
        replace(v, compromised=True, revoked=marks[v.id] == REVOKED_MARK) if v.id in marks else v
        for v in _versions(secret, records, current, shown)
    )
    deleted = _time(annotations.get(DELETED, ""))
    has_current = any(v.state is VersionState.CURRENT for v in versions)
    if trouble is None and not (has_current and enrolled):
        trouble = _why_none(secret, current, versions)
    return Key(
        id=key_id,
        tags={name: text for name, text in annotations.items() if name.startswith(PREFIX)},
        versions=versions,
        owner=_owner(secret),
        deleted=deleted,
        half_deleted=deleted is not None and _reads(shown),
        room=MAX_VERSIONS - len(records),
        more_kept=MAX_VERSIONS - len(records),
        reserve=RESERVE,
        trouble=trouble,
        drift=broken or _drift(secret, records, current, shown),
        enrolled=enrolled,
        unfit=_unfit(secret),
        handle=secret,
    )


def secret_of(key: Key) -> "Secret":
    """Return the secret that a key of this store was made from."""
    from google.cloud.secretmanager_v1 import Secret

    if not isinstance(key.handle, Secret):
        msg = "the key was not described by this store"
        raise TypeError(msg)
    return key.handle


def number(name: str) -> str:
    """Return a version's number from its resource name."""
    return name.rpartition("/")[2]


def is_scheduled(version: "SecretVersion") -> bool:
    """Return whether somebody has asked for a version's destruction, and the delay is not over."""
    return version.state.name == "DISABLED" and bool(version.scheduled_destroy_time)


def read_records(annotations: Mapping[str, str]) -> dict[str, Record]:
    """Return what the annotations say of versions. Raises :class:`ConfigError` for a broken one."""
    text = annotations.get(VERSIONS, "{}")
    try:
        return {
            _numbered(name): Record(
                at=parse_time(row["at"], VERSIONS),
                base=_numbered(row["base"]) if "base" in row else None,
                until=parse_time(row["until"], VERSIONS) if "until" in row else None,
                retired=parse_time(row["retired"], VERSIONS) if "retired" in row else None,
                orphan=bool(row.get("orphan", False)),
                etag=str(row.get("etag", "")),
            )
            for name, row in json.loads(text).items()
        }
    except (*_BROKEN, AttributeError):
        msg = f"its annotation {VERSIONS} was changed by somebody else"
        todo = "Remove that annotation, then rotate the key, which writes it again"
        raise ConfigError(msg, todo=todo) from None


def _numbered(name: str) -> str:
    if _NUMBER.fullmatch(name) is None:
        raise ValueError(name)
    return name


def write_records(records: Mapping[str, Record]) -> str:
    """Return the annotation for these versions."""
    rows: dict[str, dict[str, Any]] = {}
    for name, record in sorted(records.items(), key=lambda pair: int(pair[0])):
        times = {"at": record.at, "until": record.until, "retired": record.retired}
        rows[name] = {n: format_time(t.replace(microsecond=0)) for n, t in times.items() if t}
        if record.base is not None:
            rows[name]["base"] = record.base
        if record.orphan:
            rows[name]["orphan"] = True
        if record.etag and record.retired is None:
            rows[name]["etag"] = record.etag
    return json.dumps(rows, separators=(",", ":"))


def read_claim(annotations: Mapping[str, str]) -> Claim | None:
    """Return the claim of a rotation, under way or interrupted, or ``None``.

    Raises :class:`ConfigError` for a broken one.
    """
    if not annotations.get(CLAIM):
        return None
    try:
        row = json.loads(annotations[CLAIM])
        return Claim(
            id=str(row["id"]),
            highest=int(row["highest"]),
            at=parse_time(row["at"], CLAIM),
            until=parse_time(row["until"], CLAIM),
            since=parse_time(row["since"], CLAIM) if "since" in row else None,
        )
    except _BROKEN:
        msg = f"its annotation {CLAIM} was changed by somebody else"
        raise ConfigError(msg, todo="Remove that annotation") from None


def write_claim(claim: Claim) -> str:
    """Return the annotation for a claim."""
    row = {
        "id": claim.id,
        "highest": claim.highest,
        "at": format_time(claim.at),
        "until": format_time(claim.until),
    }
    if claim.since is not None:
        row["since"] = format_time(claim.since)
    return json.dumps(row, separators=(",", ":"))


def read_marks(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the marks of compromised versions, by the versions' numbers.

    Raises :class:`ConfigError` for an annotation that is not exactly of our form.
    """
    text = annotations.get(COMPROMISED, "{}")
    try:
        marks = {_numbered(name): str(state) for name, state in json.loads(text).items()}
    except (*_BROKEN, AttributeError):
        marks = {"": ""}
    if set(marks.values()) <= {PENDING_MARK, REVOKED_MARK}:
        return marks
    msg = f"its annotation {COMPROMISED} was changed by somebody else, and is ignored"
    todo = "Find out who wrote it, remove it, and look at the versions with show"
    raise ConfigError(msg, todo=todo)


def retired_in(secret: "Secret") -> set[str]:
    """Return the versions that the annotations say are retired or revoked, but the current one.

    Annotations that can't be read say nothing.
    """
    over: set[str] = set()
    with contextlib.suppress(ConfigError):
        over |= {v for v, r in read_records(secret.annotations).items() if r.retired is not None}
    with contextlib.suppress(ConfigError):
        over |= {v for v, m in read_marks(secret.annotations).items() if m == REVOKED_MARK}
    return over - {str(secret.version_aliases.get(CURRENT, ""))}


def with_mark(annotations: Mapping[str, str], version: str, state: str) -> dict[str, str]:
    """Return the annotations with the mark of one version; a malformed one is written anew."""
    marks: dict[str, str] = {}
    with contextlib.suppress(ConfigError):
        marks = read_marks(annotations)
    newest = sorted({**marks, version: state}.items(), key=lambda pair: int(pair[0]))[-_MAX_MARKS:]
    return {**annotations, COMPROMISED: json.dumps(dict(newest), separators=(",", ":"))}


def highest(secret: "Secret", records: Mapping[str, Record]) -> int:
    """Return the highest version number that the secret itself shows, 0 for none."""
    numbers = [int(name) for name in records] + [int(n) for n in secret.version_aliases.values()]
    return max(numbers, default=0)


def _current(secret: "Secret", records: Mapping[str, Record]) -> str | None:
    alias = secret.version_aliases.get(CURRENT)
    if alias:
        return str(int(alias))
    # A Terraform apply may have removed the alias: then the records say which version it was.
    open_ones = [name for name, r in records.items() if r.until is None and not r.orphan]
    return max(open_ones, key=int, default=None)


def _newest(shown: "Mapping[str, SecretVersion] | None") -> str | None:
    """Return the version that readers of ``latest`` use, for a secret that nobody enrolled yet."""
    if not shown:
        return None
    newest = max(shown, key=int)
    return newest if shown[newest].state.name == "ENABLED" else None


def _versions(
    secret: "Secret",
    records: Mapping[str, Record],
    current: str | None,
    shown: "Mapping[str, SecretVersion] | None",
) -> Iterable[Version]:
    for name, record in records.items():
        version = Version(
            id=name,
            state=VersionState.CURRENT if name == current else VersionState.PREVIOUS,
            created=record.at,
            base_mark=None if record.orphan else mark(record.base),
            # Whoever moves the alias by hand notes no time: then the next rotation does.
            superseded=None if name == current else record.until,
            retired=record.retired,
        )
        if record.orphan and name != current:
            version = replace(version, state=VersionState.ABANDONED)
        elif record.retired is not None and name != current:
            version = replace(version, state=VersionState.RETIRED)
        yield version if shown is None else _as_shown(version, shown.get(name))
    created = secret.create_time.astimezone(UTC) if secret.create_time else datetime.now(UTC)
    for name, one in (shown or {}).items():
        if name not in records:
            state = VersionState.CURRENT if name == current else VersionState.PENDING
            when = one.create_time.astimezone(UTC) if one.create_time else created
            yield _as_shown(Version(id=name, state=state, created=when), one)
    if current is not None and current not in {*records, *(shown or ())}:
        yield Version(
            id=current, state=VersionState.CURRENT, created=created, created_earliest=created
        )


def _reads(shown: "Mapping[str, SecretVersion] | None") -> bool:
    """Return whether some version is enabled."""
    return any(version.state.name == "ENABLED" for version in (shown or {}).values())


def _as_shown(version: Version, shown: "SecretVersion | None") -> Version:
    """Return the version in the state that Secret Manager shows."""
    if shown is None:  # listings lag; destroyed versions stay in them
        return version
    state = shown.state.name
    if state == "DESTROYED" or is_scheduled(shown):
        # For us one that is scheduled is gone: whatever we did to it would cancel that.
        when = shown.scheduled_destroy_time.astimezone(UTC) if is_scheduled(shown) else None
        orphan = version.state in NEVER_CURRENT
        return replace(version, state=VersionState.DESTROYED, to_be_destroyed=when, orphan=orphan)
    if state == "DISABLED" and version.state is VersionState.PENDING:
        return replace(version, state=VersionState.ABANDONED)  # no record says it ever was current
    if state == "DISABLED" and version.state is not VersionState.ABANDONED:
        return replace(version, state=VersionState.RETIRED)
    if state == "ENABLED" and version.state is VersionState.RETIRED:
        # Somebody enabled it again, or the retirement was interrupted before its call.
        return replace(version, state=VersionState.PREVIOUS, retired=None)
    return version


def _owner(secret: "Secret") -> str | None:
    kinds = {"CLOUD_SQL_DB_CREDENTIALS"}
    kind = getattr(secret, "secret_type", None)
    return "Secret Manager's managed rotation" if kind is not None and kind.name in kinds else None


def _why_none(secret: "Secret", current: str | None, versions: tuple[Version, ...]) -> str | None:
    """Return why there is no current version, or why its readers do not find it."""
    if CLAIM in secret.annotations and current is None:
        return "its creation was interrupted: create it again"
    if current is not None and not any(v.state is VersionState.CURRENT for v in versions):
        ends = next((v.to_be_destroyed for v in versions if v.id == current), None)
        if ends is not None:
            return f"its current version is to be destroyed at {format_time(ends)}"
        return "its current version is disabled or destroyed"
    return None if secret.version_aliases.get(CURRENT) else f"it has no alias {CURRENT!r}"


def _unfit(secret: "Secret") -> str | None:
    if secret.expire_time:
        return f"the whole secret expires at {format_time(secret.expire_time)}, and is then deleted"
    return None


def _lost_records(secret: "Secret") -> bool:
    """Whether our label and alias, which outlive some applies, show that we noted versions once."""
    return CURRENT in secret.version_aliases and secret.labels.get(LABEL) == "true"


def _drift(
    secret: "Secret",
    records: Mapping[str, Record],
    current: str | None,
    listed: "Mapping[str, SecretVersion] | None",
) -> str | None:
    """Return what somebody else's change has removed that consumers or we need."""
    if current is not None and not secret.version_aliases.get(CURRENT):
        return (
            f"its alias {CURRENT!r} was removed, perhaps by a Terraform apply, and its readers "
            "fail: rotate the key to set it again, and let that tool ignore version_aliases"
        )
    # A secret that somebody tagged by hand has no records yet; one that we rotated has an alias.
    if current is not None and not records and PREVIOUS in secret.version_aliases:
        return (
            f"its annotation {VERSIONS} was removed, perhaps by a Terraform apply: "
            "rotate the key to write it again, and let that tool ignore annotations"
        )
    shown = listed.get(current) if listed is not None and current is not None else None
    enabled = shown is not None and shown.state.name == "ENABLED"
    retired = current is not None and current in records and records[current].retired is not None
    if retired and not enabled:
        leads = f"its alias {CURRENT!r} points to version {current}, which is retired"
        return f"{leads}: enable that version, or rotate the key"
    return _unfit(secret)


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text, DELETED)
    except ConfigError:
        return None
