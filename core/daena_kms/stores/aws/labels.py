"""What the labels of a secret say about its versions.

Secrets Manager shows only a version's id and its staging labels. Our version ids say when a
version was made and from which base; labels of our own say the rest::

    daena-made-<stamp>-<mark>     made by us; pins the version from the start. Where the labels
                                  run short, the next version takes over the label of the oldest
                                  one: then stamp and mark are those of the first that had it
    daena-keep-<stamp>-<mark>     pinned by us when it was current or previous
    daena-keep-<stamp>-enrolled-<mark>  the same, when a run enrolled the secret by its tags; the
                                  stamp is the hour of that
    daena-retired-<stamp>-<mark>  retired by us at that time
    daena-retired-<stamp>-compromised-<mark>
                                  compromised, since that time. An emergency rotation writes it
                                  before its promotion, as the first half of the retirement: once
                                  no other label of ours and no AWSPREVIOUS is left, it is retired

The mark of a compromised version needs no label of its own that way, and stays when the version is
retired. A mark proves nothing of the past: whoever may move labels can put one on any version.

A label or a version id of ours shows that the secret is enrolled: whoever may only tag it can set
neither.

A version was current once if it is AWSCURRENT or AWSPREVIOUS, if we pinned or retired it, or if a
later version was made from it. A version of ours for which none of this is true lost a race or was
left by an interrupted run; it is never promoted.

A version without a label is in no listing and in no answer of ``DescribeSecret``, but readable by
its id, and ``ListSecretVersionIds`` shows it with ``IncludeDeprecated``. AWS removes such versions
only while a secret has more than 100 versions. Where that list was taken, it proves more: ids of
unlabelled versions show from which ones they were made.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html
"""

import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from daena_kms.rules import names
from daena_kms.rules.model import PROMOTION_BOUND, VersionState
from daena_kms.rules.names import PLAUSIBLE_YEARS, ParsedId, parse_version_id

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
MADE, KEEP, RETIRED = "daena-made-", "daena-keep-", "daena-retired-"
_COMPROMISED = "-compromised-"
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
MAX_LABELS = 20
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_STAMP_LENGTH = len("20261124T155018Z")
#: Two clocks differ by less than this.
_SKEW = timedelta(minutes=5)
#: A mark is a whole minute old at most when it is written, and the retirement follows at once.
_RECENT = timedelta(minutes=5)
_MARK_LENGTH = len("daena-retired-20261124T155018Z-compromised-0f1e2d3c4b")
#: A label of ours. Somebody else may use labels that begin with daena, too.
_OURS = re.compile(r"daena-[a-z]+-\d{8}T\d{6}Z-.*", re.ASCII)
_BY_TAG = re.compile(r"daena-keep-\d{8}T\d{6}Z-enrolled-.*", re.ASCII)


#: The marks of one secret's versions are needed again and again.
mark = functools.lru_cache(maxsize=1024)(names.mark)


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


def enrolled_label(version_id: str, hour: datetime) -> str:
    """Return the label that enrols a secret by its tags, and pins its current version."""
    pin = label(KEEP, version_id, hour)
    return f"{pin.removesuffix(mark(version_id))}enrolled-{mark(version_id)}"


class Labels:
    """The labels of one secret, as one answer showed them.

    Args:
        stages: The labels by version, of the versions that have any.
        listed: When each version was made, the unlabelled ones included, where that was looked up.
    """

    def __init__(
        self, stages: Mapping[str, Sequence[str]], listed: Mapping[str, datetime] | None = None
    ) -> None:
        self.stages = stages
        self.listed = listed
        self.unlabelled = frozenset(listed or ()) - stages.keys()
        pairs = ((v, parse_version_id(v)) for v in (*stages, *sorted(self.unlabelled)))
        self._parsed: dict[str, ParsedId] = {v: p for v, p in pairs if p is not None}
        self._made_from: dict[str, list[str]] = {}
        for version_id, parsed in self._parsed.items():
            self._made_from.setdefault(parsed.base_mark, []).append(version_id)
        self._children: dict[str, str | None] = {}

    @property
    def used(self) -> int:
        """How many labels there are."""
        return len({stage for stages in self.stages.values() for stage in stages})

    @property
    def total(self) -> int | None:
        """How many versions the secret has, labelled or not; ``None``: not looked up."""
        return None if self.listed is None else len(self.stages.keys() | self.unlabelled)

    @property
    def complete(self) -> bool:
        """Whether the labels show every version that ever was current.

        Each labelled version is of ours, and the version that it was made from is labelled, too.
        What came before a version of others, nothing shows.
        """
        shown = {mark(None), *map(mark, self.stages)}
        ours = (self._parsed.get(version_id) for version_id in self.stages)
        return all(parsed is not None and parsed.base_mark in shown for parsed in ours)

    @property
    def enrolled(self) -> bool:
        """Whether we ever wrote to the secret: a version id or a label of ours shows it."""
        every = (stage for stages in self.stages.values() for stage in stages)
        return bool(self._parsed.keys() & self.stages.keys()) or any(map(_OURS.fullmatch, every))

    @property
    def enrolled_by_tag(self) -> datetime | None:
        """The hour in which a run enrolled the secret by its tags, as long as a label says so."""
        every = (stage for stages in self.stages.values() for stage in stages)
        return _stamped([stage for stage in every if _BY_TAG.fullmatch(stage)])

    def holder(self, stage: str) -> str | None:
        """Return the id of the version that carries ``stage``."""
        return next((v for v, stages in self.stages.items() if stage in stages), None)

    def made(self, version_id: str) -> datetime | None:
        """Return when a version was made, as far as its id or a list of the versions says so."""
        parsed = self._parsed.get(version_id)
        return parsed.made if parsed is not None else (self.listed or {}).get(version_id)

    def made_or_first(self, version_id: str) -> datetime:
        """Return when a version was made; before all others if that is unknown."""
        return self.made(version_id) or datetime.min.replace(tzinfo=UTC)

    def of_ours(self) -> Iterator[tuple[str, ParsedId]]:
        """Yield each labelled version of ours with what its id says."""
        return ((v, p) for v, p in self._parsed.items() if v in self.stages)

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
        lost = {p.base_mark for _, p in self.of_ours()} - self._proofs(version_ids)
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
            for version_id, parsed in self.of_ours()
            if version_id not in without and set(self.stages[version_id]) - {PENDING}
        }

    def without(self, *removed: tuple[str, str]) -> "Labels":
        """Return the labels without some, each given with its version."""
        left = {v: [s for s in st if (v, s) not in removed] for v, st in self.stages.items()}
        return Labels({v: stages for v, stages in left.items() if stages}, self.listed)

    def plus(self, version_id: str, stage: str) -> "Labels":
        """Return the labels with one more, on a version that has some."""
        stages = {v: [*s, stage] if v == version_id else s for v, s in self.stages.items()}
        return Labels(stages, self.listed)

    def named_after(self, version_id: str) -> list[tuple[str, str]]:
        """Return the labels that end in a version's mark and are on others, with those."""
        end = f"-{mark(version_id)}"
        return [
            (v, s)
            for v, stages in self.stages.items()
            for s in stages
            if v != version_id and _OURS.fullmatch(s) and s.endswith(end)
        ]

    def lost(self, version_id: str) -> bool:
        """Whether a version of ours never was current and can never become so.

        Another one that was made from its base became current, so this one lost its race; or it is
        only pending, and nobody has moved AWSCURRENT by hand.
        """
        state = self.state(version_id)
        abandoned = state is VersionState.ABANDONED and self._has_sibling(version_id)
        return abandoned or (state is VersionState.PENDING and self._undisturbed())

    def state(self, version_id: str) -> VersionState:
        """Return the state of a version. One without a label was current once, or is abandoned."""
        if version_id in self.unlabelled:
            was = self._was_current(version_id)
            return VersionState.PREVIOUS if was else VersionState.ABANDONED
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
        promoted = self._promoted
        # An operator may have moved AWSCURRENT back to it, so that it was superseded twice.
        own = mark(version_id)
        ended = [promoted[v] for v in self._made_from.get(own, ()) if v in promoted]
        if ended:
            return max(ended) + PROMOTION_BOUND
        since = self.made(version_id) if self._is_pinned(version_id) else None
        own_labels = [s for s in self.ours(version_id, MADE) if s.endswith(own)]
        since = since or _stamped(own_labels) or _stamped(self.ours(version_id, KEEP))
        if since is None:
            return None  # the next rotation pins it, and the pin's time serves from then on
        # Stamps have seconds: a version of the same second may have been current before this one.
        later = [made for v, made in promoted.items() if v != version_id and made > since]
        return min(later) + PROMOTION_BOUND if later else None

    def _is_pinned(self, version_id: str) -> bool:
        """Whether a version's own time says since when it may have been current."""
        return version_id in self.unlabelled or bool(self.ours(version_id, MADE))

    @functools.cached_property
    def _promoted(self) -> dict[str, datetime]:
        """When each version of ours was made that was current once."""
        return {v: p.made for v, p in self._parsed.items() if self._was_current(v)}

    def stays_previous(self, version_id: str) -> bool:
        """Whether a version would show that it was current without its labels."""
        return self._child(version_id) is not None or self._perhaps(version_id)

    def _was_current(self, version_id: str) -> bool:
        if version_id in self.unlabelled:
            return self._proved(version_id) or self._perhaps(version_id)
        return self._proved(version_id)

    def _proved(self, version_id: str) -> bool:
        stages = self.stages.get(version_id, ())
        return (
            CURRENT in stages
            or PREVIOUS in stages
            or self._noted(version_id)
            or self._child(version_id) is not None
        )

    def _perhaps(self, version_id: str) -> bool:
        """Whether nothing speaks against it that an unlabelled version was current once.

        To show a version as previous that never was current does less harm than not to offer one
        that was. Others make versions current with the put itself. Of ours, one that lost a race
        shows by what won it: another version made from the same base, or a version that others
        made in the minutes in which this one was written.
        """
        parsed = self._parsed.get(version_id)
        if parsed is None:
            return True
        current = self.holder(CURRENT)
        if (current is not None and parsed.base_mark == mark(current)) or self._has_sibling(
            version_id
        ):
            return False
        theirs = (
            at - parsed.made
            for v, at in (self.listed or {}).items()
            if v not in self._parsed and mark(v) != parsed.base_mark
        )
        return not any(-_SKEW <= after <= PROMOTION_BOUND for after in theirs)

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
        if own not in self._children:
            made = self._made_from.get(own, [])
            self._children[own] = made[0] if made else None
            current = self.holder(CURRENT)
            promoted = (v for v in made if v == current or self._child(v) is not None)
            self._children[own] = next(promoted, self._children[own])
        return self._children[own]

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
        return any(v != version_id and self._proved(v) for v in self._made_from[base_mark])


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
