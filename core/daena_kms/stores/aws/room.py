"""How much room the labels of a secret leave, and which versions give theirs to newer ones.

A label is a convenience: it names a version, and shows it in listings. What keeps a version is
that the secret has at most 100 of them: AWS removes unlabelled versions only above that, and none
of the last 24 hours. So where the twenty labels run short, the oldest version loses its own, and is
kept by its id. That ends at :data:`KEPT_FOR_SURE` versions. The ten beneath AWS's limit are left
for emergency rotations, and for rotations that lose a race.

These keep their labels: the current version and the one before it, a version that is marked as
compromised, and one of which nothing but a label shows that it was current.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
"""

from datetime import datetime, timedelta

from daena_kms.rules.model import PROMOTION_BOUND, VersionState
from daena_kms.stores.aws.labels import (
    CURRENT,
    KEEP,
    MADE,
    MAX_LABELS,
    PENDING,
    PREVIOUS,
    RETIRED,
    Labels,
)

#: AWS removes no version of a secret that has at most this many.
MAX_VERSIONS = 100
#: An ordinary rotation takes a label from an older version only below this many versions.
KEPT_FOR_SURE = 90
#: A retirement and the rotation that follows it are at most this far apart.
_JUST_BEGUN = timedelta(minutes=15)


class Room:
    """What the labels of one secret leave for further versions."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def ordinary(self) -> int:
        """Return how many more versions can be made and labelled.

        Labels that nothing needs make room: those of versions that never can be current, and
        those beside the label of a retirement.
        """
        return self._free() + len(self._needless())

    @property
    def tight(self) -> bool:
        """Whether a rotation has room only if another version loses a label that it needs."""
        return self._free() + len(self._redundant()) < 1

    def surplus(self) -> list[tuple[str, str]]:
        """Return the label that the oldest retired version gives up after a further retirement.

        So a rotation need not look how many versions there are. Nothing, if there is room.
        """
        total = self._labels.total
        if not self.tight or total is None or total >= KEPT_FOR_SURE:
            return []
        retired = [pair for pair in self.donors() if pair[1].startswith(RETIRED)]
        return retired[:1] if len(retired) > 1 else []

    def more_kept(self) -> int | None:
        """Return how many more versions are kept for sure; ``None``: not looked up."""
        total = self._labels.total
        return None if total is None else KEPT_FOR_SURE - total

    def reserve(self) -> int:
        """Return how many more versions than :meth:`ordinary` an emergency rotation may make.

        It may also use the labels that :meth:`spare` returns, and the one that ordinary rotations
        keep in reserve: it marks the version before it retires it.
        """
        labels = self._labels
        current = labels.holder(CURRENT)
        if current is None:
            return 0
        used = labels.used + (labels.holder(PREVIOUS) is None)
        used += len([v for v in labels.unpinned() if v != current])
        spared = len(self.spare(current))
        if not labels.marks(current):  # it will be, and then its other labels can go
            used += 1
            spared += len(labels.ours(current, MADE, KEEP))
        return max(0, MAX_LABELS - used + spared - self.ordinary())

    def spare(self, base: str) -> list[tuple[str, str]]:
        """Return labels, with their versions, that an emergency rotation from ``base`` may remove.

        First those on versions that can never become current, or that another rotation is only
        about to promote: a promotion does not need the label. Then AWSPENDING, which nothing needs
        either. Then those that pin the base, if its mark pins it as well. Last those of versions
        that are kept by their ids then, unless the secret has so many that AWS may remove one.
        """
        labels = self._labels
        spare = [(v, s) for v, s in self._needless() if v != base]
        pending = labels.holder(PENDING)
        spare += [(pending, PENDING)] if pending is not None else []
        pins = labels.ours(base, MADE, KEEP) if labels.marks(base) else []
        spare += [(base, s) for s in pins]
        total = labels.total
        spare += self.donors() if total is None or total < MAX_VERSIONS else []
        return list(dict.fromkeys(spare))

    def dead(self, now: datetime) -> dict[str, list[str]]:
        """Return the labels of ours, by version, that pin versions that can never be current."""
        dead = {}
        for version_id, parsed in self._labels.of_ours():
            stale = parsed.made + PROMOTION_BOUND < now
            pending = self._labels.state(version_id) is VersionState.PENDING
            if self._labels.lost(version_id) and (stale or not pending):
                dead[version_id] = self._labels.ours(version_id, MADE)
        return {version_id: labels for version_id, labels in dead.items() if labels}

    def donors(self) -> list[tuple[str, str]]:
        """Return the labels, with their versions, that newer versions may have instead.

        Retired versions give theirs first, then previous ones, then those of which no label says
        whether they were current; of each the oldest. Without its label a version is kept by its
        id, and counts as previous.
        """
        labels = self._labels
        ended = {VersionState.RETIRED: 0, VersionState.PREVIOUS: 1, VersionState.ABANDONED: 2}
        found = [
            (ended[state], labels.made_or_first(v), v)
            for v, state in ((v, labels.state(v)) for v in labels.stages)
            if state in ended and self._may_give(v)
        ]
        unproved = {*labels.orphans()}
        giving: list[str] = []
        for _, _, version_id in sorted(found):
            # None may be the only one to show that a version was current that keeps its label.
            if unproved.issuperset({*labels.orphans(*giving, version_id)}.difference(giving)):
                giving.append(version_id)
        return [(v, s) for v in giving for s in labels.ours(v, MADE, KEEP, RETIRED)]

    def shed(self, now: datetime) -> list[tuple[str, str]]:
        """Return the labels, with their versions, that an ordinary rotation is to remove.

        A retirement that began right before it leaves its version's own label to the rotation.
        Otherwise as few as make room.
        """
        begun = self.begun(now)
        missing = 1 - self._free() - len(begun)
        pairs = [(v, s) for v, dead in self.dead(now).items() for s in dead]
        pairs += self._redundant()
        total = self._labels.total
        if total is not None and total < KEPT_FOR_SURE:
            pairs += self.donors()
        others = [pair for pair in dict.fromkeys(pairs) if pair not in begun]
        return begun + others[: max(0, missing)]

    def begun(self, now: datetime) -> list[tuple[str, str]]:
        """Return the labels beside that of a retirement of the last minutes."""
        return [
            (v, s)
            for v, s in self._redundant()
            if (at := self._labels.retired(v)) is not None and abs(now - at) <= _JUST_BEGUN
        ]

    def giving(self) -> frozenset[str]:
        """Return the versions whose labels may go to newer ones, if the labels are short."""
        return frozenset(v for v, _ in self.donors()) if self.tight else frozenset()

    def _free(self) -> int:
        """Return how many more versions can be labelled if no other version loses a label."""
        labels = self._labels
        used = labels.used
        # One stays in reserve: a retirement adds its label before it removes the others.
        used += (labels.holder(PENDING) is None) + (labels.holder(PREVIOUS) is None) + 1
        return MAX_LABELS - used - len(labels.unpinned())

    def _needless(self) -> list[tuple[str, str]]:
        labels = self._labels
        lost = [(v, s) for v, _ in labels.of_ours() if labels.lost(v) for s in labels.ours(v, MADE)]
        return lost + self._redundant()

    def _redundant(self) -> list[tuple[str, str]]:
        """Return the labels that pin versions that the label of a retirement pins as well."""
        labels = self._labels
        return [
            (v, s)
            for v in labels.stages
            if v != labels.holder(CURRENT) and len(labels.ours(v, RETIRED)) > len(labels.marks(v))
            for s in labels.ours(v, MADE)
        ]

    def _may_give(self, version_id: str) -> bool:
        labels = self._labels
        needed = version_id == labels.holder(PREVIOUS) or bool(labels.marks(version_id))
        return not needed and not labels.lost(version_id) and labels.stays_previous(version_id)
