"""What the labels of a secret say about its versions, as a key. No calls.

Secrets Manager shows only a version's id and its staging labels. Our version ids say when a
version was made and from which base; labels of our own say the rest::

    daena-made-<stamp>-<mark>     made by us; pins the version from the start, so that it never
                                  becomes unlabelled: AWS deletes unlabelled versions
    daena-keep-<stamp>-<mark>     pinned by us when it was current or previous
    daena-retired-<stamp>-<mark>  retired by us at that time
    daena-retired-<stamp>-compromised-<mark>
                                  compromised, since that time. An emergency rotation writes it
                                  before its promotion, as the first half of the retirement: once
                                  no other label of ours and no AWSPREVIOUS is left, it is retired

The mark of a compromised version needs no label of its own that way, and stays when the version is
retired. A mark proves nothing of the past: whoever may move labels can put one on any version.

A version was current once if it is AWSCURRENT or AWSPREVIOUS, if we pinned or retired it, or if a
later version was made from it. A version of ours for which none of this is true lost a race or was
left by an interrupted run; it is never promoted.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from daena_kms.rules.model import PROMOTION_BOUND, Key, Version, VersionState
from daena_kms.rules.names import PLAUSIBLE_YEARS, ParsedId, mark, parse_version_id
from daena_kms.rules.policy import PREFIX

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
MADE, KEEP, RETIRED = "daena-made-", "daena-keep-", "daena-retired-"
_COMPROMISED = "-compromised-"
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MAX_LABELS = 20
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_STAMP_LENGTH = len("20261124T155018Z")
#: A mark is a whole minute old at most when it is written, and the retirement follows at once.
_RECENT = timedelta(minutes=5)
_MARK_LENGTH = len("daena-retired-20261124T155018Z-compromised-0f1e2d3c4b")


def label(prefix: str, version_id: str, at: datetime) -> str:
    """Return a label of ours for one version: no two versions ever share one."""
    return f"{prefix}{at.astimezone(UTC).strftime(_STAMP)}-{mark(version_id)}"


def compromised_label(version_id: str, at: datetime) -> str:
    """Return the label that marks a version as compromised.

    The time is that of the full minute, so that emergency rotations at the same moment use one
    label: a secret has few.
    """
    stamp = at.astimezone(UTC).replace(second=0).strftime(_STAMP)
    return f"{RETIRED}{stamp}{_COMPROMISED}{mark(version_id)}"


class Labels:
    """The labels of one secret, as one answer showed them."""

    def __init__(self, stages: Mapping[str, Sequence[str]]) -> None:
        self.stages = stages
        pairs = ((v, parse_version_id(v)) for v in stages)
        self._parsed: dict[str, ParsedId] = {v: p for v, p in pairs if p is not None}

    @property
    def used(self) -> int:
        """How many labels there are."""
        return sum(len(stages) for stages in self.stages.values())

    def holder(self, stage: str) -> str | None:
        """Return the id of the version that carries ``stage``."""
        return next((v for v, stages in self.stages.items() if stage in stages), None)

    def ours(self, version_id: str, *prefixes: str) -> list[str]:
        """Return the labels on a version that begin with one of ``prefixes``."""
        return [s for s in self.stages.get(version_id, ()) if s.startswith(prefixes)]

    def marks(self, version_id: str) -> list[str]:
        """Return the labels that mark a version as compromised, in exactly the form of ours."""
        end = f"{_COMPROMISED}{mark(version_id)}"
        return [
            s
            for s in self.ours(version_id, RETIRED)
            if s.endswith(end) and _stamped([s]) is not None and len(s) == _MARK_LENGTH
        ]

    def retired(self, version_id: str) -> datetime | None:
        """Return when a version was retired; a mark alone counts only once it is retired."""
        stages = self.ours(version_id, RETIRED)
        if self.state(version_id) is not VersionState.RETIRED:
            marks = self.marks(version_id)
            stages = [s for s in stages if s not in marks]
        return _stamped(stages)

    def recent_mark(self, version_id: str, now: datetime) -> str | None:
        """Return a mark whose time can serve as that of a retirement now, or ``None``."""
        stamped = ((s, _stamped([s])) for s in self.marks(version_id))
        return next((s for s, at in stamped if at and abs(now - at) <= _RECENT), None)

    def malformed_mark(self) -> str | None:
        """Return a label that looks like a mark and is none, or ``None``."""
        return next(
            (
                s
                for version_id in self.stages
                for s in self.ours(version_id, RETIRED)
                if _COMPROMISED in s and s not in self.marks(version_id)
            ),
            None,
        )

    def dead(self, now: datetime) -> dict[str, list[str]]:
        """Return the labels of ours, by version, that pin versions that can never be current."""
        dead = {}
        for version_id, parsed in self._parsed.items():
            stale = parsed.made + PROMOTION_BOUND < now
            pending = self.state(version_id) is VersionState.PENDING
            if self._gives_way(version_id) and (stale or not pending):
                dead[version_id] = self.ours(version_id, MADE)
        return {version_id: labels for version_id, labels in dead.items() if labels}

    def unpinned(self) -> list[str]:
        """Return the versions that only AWS's own labels show to be, or to have been, current.

        The next promotion moves AWSPREVIOUS off the previous version. If somebody else puts a
        value right after it, AWSPREVIOUS also leaves the version that is current now.
        """
        previous, current = self.holder(PREVIOUS), self.holder(CURRENT)
        unpinned = []
        if previous is not None and not self._noted(previous):
            proved = mark(previous) in self._proofs() and self.ours(previous, MADE)
            unpinned += [] if proved else [previous]
        if current is not None and not self.ours(current, MADE, KEEP) and not self.marks(current):
            unpinned.append(current)
        return unpinned

    def orphans(self, *version_ids: str) -> list[str]:
        """Return the versions that only these versions prove to have been current."""
        lost = {p.base_mark for p in self._parsed.values()} - self._proofs(version_ids)
        return [
            v
            for v, stages in self.stages.items()
            if mark(v) in lost and CURRENT not in stages and not self._noted(v)
        ]

    def _proofs(self, without: Collection[str] = ()) -> set[str]:
        """Return the base marks of the versions that have a label besides AWSPENDING.

        The next put moves AWSPENDING, so a version that has no other label will not last.
        """
        return {
            parsed.base_mark
            for version_id, parsed in self._parsed.items()
            if version_id not in without and set(self.stages[version_id]) - {PENDING}
        }

    def room(self) -> int:
        """Return how many more versions can be made and labelled; dead ones make room."""
        used = self.used
        # One stays in reserve: a retirement adds its label before it removes the others.
        used += (self.holder(PENDING) is None) + (self.holder(PREVIOUS) is None) + 1
        used += len(self.unpinned())
        return MAX_LABELS - used + self._reclaimable()

    @property
    def tight(self) -> bool:
        """Whether a rotation has room only if dead versions lose their labels."""
        return self.room() - self._reclaimable() < 1

    def reserve(self) -> int:
        """Return how many more versions than :meth:`room` an emergency rotation may make.

        It may also use the labels that :meth:`spare` returns, and the one that ordinary rotations
        keep in reserve: it marks the version before it retires it.
        """
        current = self.holder(CURRENT)
        if current is None:
            return 0
        used = self.used + (self.holder(PREVIOUS) is None)
        used += len([v for v in self.unpinned() if v != current])
        spared = len(self.spare(current))
        if not self.marks(current):  # it will be, and then its other labels can go
            used += 1
            spared += len(self.ours(current, MADE, KEEP))
        return max(0, MAX_LABELS - used + spared - self.room())

    def spare(self, base: str) -> list[tuple[str, str]]:
        """Return labels, with their versions, that an emergency rotation from ``base`` may remove.

        First those on versions that can never become current, or that another rotation is only
        about to promote: a promotion does not need the label. Then AWSPENDING, which nothing needs
        either. Last those that pin the base, if its mark pins it as well.
        """
        idle = ((v, s) for v in self._parsed if self._gives_way(v) for s in self.ours(v, MADE))
        spare = [(v, s) for v, s in idle if v != base]
        pending = self.holder(PENDING)
        spare += [(pending, PENDING)] if pending is not None else []
        pins = self.ours(base, MADE, KEEP) if self.marks(base) else []
        return spare + [(base, s) for s in pins]

    def without(self, *removed: tuple[str, str]) -> "Labels":
        """Return the labels without some, each given with its version."""
        left = {v: [s for s in st if (v, s) not in removed] for v, st in self.stages.items()}
        return Labels({v: stages for v, stages in left.items() if stages})

    def _reclaimable(self) -> int:
        return sum(len(self.ours(v, MADE)) for v in self._parsed if self._gives_way(v))

    def state(self, version_id: str) -> VersionState:
        """Return the state of a version."""
        stages = self.stages.get(version_id, ())
        if CURRENT in stages:
            return VersionState.CURRENT
        # If an interrupted retirement left another label, it is not complete.
        kept = PREVIOUS in stages or self.ours(version_id, MADE, KEEP)
        if self.ours(version_id, RETIRED) and not kept:
            return VersionState.RETIRED
        if self._was_current(version_id):
            return VersionState.PREVIOUS
        parsed = parse_version_id(version_id)
        current = self.holder(CURRENT)
        if parsed is None or (current is not None and parsed.base_mark == mark(current)):
            return VersionState.PENDING
        return VersionState.ABANDONED

    def superseded(self, version_id: str) -> datetime | None:
        """Return the latest moment at which a version can have stopped being current."""
        promoted = {v: p.made for v, p in self._parsed.items() if self._was_current(v)}
        # An operator may have moved AWSCURRENT back to it, so that it was superseded twice.
        own = mark(version_id)
        ended = [at for v, at in promoted.items() if self._parsed[v].base_mark == own]
        if ended:
            return max(ended) + PROMOTION_BOUND
        since = _stamped(self.ours(version_id, MADE)) or _stamped(self.ours(version_id, KEEP))
        if since is None:
            return None  # the next rotation pins it, and the pin's time serves from then on
        # Stamps have seconds: a version of the same second may have been current before this one.
        later = [made for v, made in promoted.items() if v != version_id and made > since]
        return min(later) + PROMOTION_BOUND if later else None

    def _was_current(self, version_id: str) -> bool:
        stages = self.stages.get(version_id, ())
        return (
            CURRENT in stages
            or PREVIOUS in stages
            or self._noted(version_id)
            or self._child(version_id) is not None
        )

    def _noted(self, version_id: str) -> bool:
        """Whether a label of ours alone says that a version was current.

        A mark says so only once it stands alone: whoever may move labels can mark a version that is
        only pending, and that one has its own label beside it.
        """
        marks = self.marks(version_id) if self.ours(version_id, MADE) else []
        return bool(self.ours(version_id, KEEP)) or self.ours(version_id, RETIRED) != marks

    def _child(self, version_id: str) -> str | None:
        """Return a version made from this one, which proves that this one was current."""
        own = mark(version_id)
        children = [v for v, p in self._parsed.items() if p.base_mark == own]
        promoted = (v for v in children if v == self.holder(CURRENT) or self._child(v) is not None)
        return next(promoted, children[0] if children else None)

    def _gives_way(self, version_id: str) -> bool:
        """Whether a version never was current and can never become so."""
        state = self.state(version_id)
        lost = state is VersionState.ABANDONED and self._has_sibling(version_id)
        return lost or (state is VersionState.PENDING and self._undisturbed())

    def _undisturbed(self) -> bool:
        """Whether the labels are as rotations alone leave them: nobody has moved them by hand.

        After somebody has moved AWSCURRENT back, a version that looks pending may have been
        current for days.
        """
        previous, current = self.holder(PREVIOUS), self.holder(CURRENT)
        parsed = self._parsed.get(current or "")
        return previous is None or (parsed is not None and parsed.base_mark == mark(previous))

    def _has_sibling(self, version_id: str) -> bool:
        base_mark = self._parsed[version_id].base_mark
        return any(
            v != version_id and p.base_mark == base_mark and self._was_current(v)
            for v, p in self._parsed.items()
        )


def labels_of(key: Key) -> Labels:
    """Return the labels that a key of this store was made from."""
    if isinstance(key.handle, Labels):
        return key.handle
    msg = "a key must come from describe() or scan() of this store"
    raise TypeError(msg)


def to_key(
    answer: Mapping[str, Any], region: str | None, current_created: datetime | None = None
) -> Key:
    """Return the key that an entry of ``ListSecrets`` or an answer of ``DescribeSecret`` shows.

    ``current_created`` is when the current version was made, where that was looked up.
    """
    labels = Labels(answer.get("SecretVersionsToStages") or answer.get("VersionIdsToStages") or {})
    created = answer["CreatedDate"].astimezone(UTC)
    changed = answer.get("LastChangedDate", created).astimezone(UTC)
    versions = []
    for version_id in labels.stages:
        parsed = parse_version_id(version_id)
        state = labels.state(version_id)
        exact = parsed.made if parsed is not None else current_created
        if state is not VersionState.CURRENT and parsed is None:
            exact = None
        versions.append(
            Version(
                id=version_id,
                state=state,
                created=exact or changed,
                created_earliest=None if exact or created == changed else created,
                base_mark=parsed.base_mark if parsed is not None else None,
                superseded=(
                    labels.superseded(version_id) if state is VersionState.PREVIOUS else None
                ),
                retired=labels.retired(version_id),
                compromised=bool(labels.marks(version_id)),
                # A version that is current again was not retired for good.
                revoked=bool(labels.marks(version_id)) and state is VersionState.RETIRED,
            )
        )
    deleted = answer.get("DeletedDate")
    return Key(
        id=answer["Name"],
        tags={
            t["Key"]: t.get("Value", "")
            for t in answer.get("Tags", ())
            if t["Key"].startswith(PREFIX)
        },
        versions=tuple(versions),
        owner=_owner(answer, region),
        deleted=deleted.astimezone(UTC) if deleted is not None else None,
        room=labels.room(),
        reserve=labels.reserve(),
        drift=_drift(labels),
        handle=labels,
    )


def with_label(key: Key, version_id: str, label: str) -> Key:
    """Return the key of a look as it is after a version got one more label: its mark."""
    labels = labels_of(key)
    stages = {v: [*s, label] if v == version_id else s for v, s in labels.stages.items()}
    versions = (replace(v, compromised=True) if v.id == version_id else v for v in key.versions)
    return replace(key, versions=tuple(versions), handle=Labels(stages))


def _drift(labels: Labels) -> str | None:
    malformed = labels.malformed_mark()
    if malformed is None:
        return None
    return (
        f"its label {malformed[:80]!r} looks like the mark of a compromised version, but is not of "
        "its form, and is ignored: find out who wrote it, and remove it with "
        "aws secretsmanager update-secret-version-stage"
    )


def _owner(answer: Mapping[str, Any], region: str | None) -> str | None:
    if answer.get("OwningService"):
        return f"the AWS service {answer['OwningService']}"
    if answer.get("RotationEnabled"):
        return "Secrets Manager's own rotation (RotationEnabled)"
    primary = answer.get("PrimaryRegion")
    if primary and region and primary != region:
        return f"it is a replica, and its primary in {primary}"
    return None


def _stamped(labels: Sequence[str]) -> datetime | None:
    """Return the newest time in some labels of ours, or ``None`` where none has a plausible one."""
    times = []
    for text in labels:
        stamp = text.split("-", 2)[-1][:_STAMP_LENGTH]
        try:
            when = datetime.fromisoformat(stamp) if _STAMPED.fullmatch(stamp) else None
        except ValueError:
            continue
        if when is not None and when.year in PLAUSIBLE_YEARS:
            times.append(when)
    return max(times, default=None)
