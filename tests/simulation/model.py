"""What was current when, as the store itself shows it after each call; and what must never be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulation.base import Cloud, Seen

#: A change this soon after a hold, or after somebody disabled a version, can't be prevented: the
#: look that it goes by is at most this old. DESIGN.md says so.
INSTANT = timedelta(seconds=60)


@dataclass(frozen=True)
class Promotion:
    """One version took another's place as the current one."""

    key: str
    base: str | None
    version: str | None
    at: float
    #: The process that did it; None: an outsider.
    by: str | None
    #: How often outsiders had changed what is current before that.
    epoch: int


@dataclass
class Model:
    """Holds what the store shows against what it showed before."""

    cloud: Cloud
    now: Callable[[], float]
    grace: timedelta | None
    #: Whether a clock is so far behind that grace may end early.
    skewed: bool = False
    promotions: list[Promotion] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    #: Changes that nothing can prevent: within an instant after somebody asked for none.
    counted: list[str] = field(default_factory=list)
    #: Versions that somebody else changed, and keys whose life somebody touched.
    touched: set[str] = field(default_factory=set)
    #: When the key was put on hold, or a version disabled.
    held_at: float | None = None
    disabled: dict[str, float] = field(default_factory=dict)
    #: Versions that an emergency was to revoke.
    compromised: set[str] = field(default_factory=set)
    #: How many emergency rotations are under way: whatever is current then, they may mean.
    emergencies: int = 0
    #: When a process of ours last wrote to the key.
    written: list[float] = field(default_factory=list)
    #: Whether the key is, or may be, deleted: from the first try on.
    deleting: bool = False
    #: Whether others changed which version is current.
    foreign: bool = False
    _last: dict[str, Seen] = field(default_factory=dict)
    _epoch: int = 0

    def look(self, by: str | None) -> None:
        """Take what the store shows, after a call of a process or an act of an outsider."""
        seen = self.cloud.see()
        for key, now in seen.items():
            self._compare(key, self._last.get(key), now, by)
        for key in set(self._last) - set(seen):
            self._say(f"{key} is gone")
        self._last = seen

    def was_current(self, version: str) -> bool:
        """Whether a version ever was current."""
        return any(p.version == version for p in self.promotions)

    def superseded(self, version: str) -> float | None:
        """Return when a version last stopped being current."""
        ended = [p.at for p in self.promotions if p.base == version]
        return max(ended, default=None)

    def _compare(self, key: str, before: Seen | None, now: Seen, by: str | None) -> None:
        last = before.current if before is not None else None
        if by is not None and now != before:
            self.written.append(self.now())
        if now.current != last:
            self._promoted(key, last, now, by)
        if not (now.deleted or self.deleting or now.current is None):
            usable = now.readable or now.current in self.disabled
            if not usable:
                self._say(f"the current version {now.current} can't be read (after {by})")
        for version, seen in now.versions.items():
            was = before.versions.get(version) if before is not None else None
            if was is not None and was.value is not None and seen.value is None and was.readable:
                self._say(f"{version} was destroyed while it was readable, by {by}")
            newly = was is not None and was.readable and not was.retired
            if newly and (seen.retired or not seen.readable):
                self._retired(version, by)
        for version in set(before.versions) - set(now.versions) if before is not None else ():
            self._say(f"{version} is gone")

    def _promoted(self, key: str, last: str | None, now: Seen, by: str | None) -> None:
        if by is None:
            self._epoch += 1
            self.foreign = True
        new = now.current
        promotion = Promotion(key, last, new, self.now(), by, self._epoch)
        if by is not None:
            twins = [
                p
                for p in self.promotions
                if (p.key, p.base, p.epoch) == (key, last, self._epoch) and p.by is not None
            ]
            if twins:
                self._say(f"two current versions from {last}: {twins[0].version} and {new}")
            if new is not None and self.was_current(new):
                self._say(f"{by} made {new} current again")
            disabled = self.disabled.get(new or "")
            if disabled is not None and self.now() - disabled > INSTANT.total_seconds():
                self._say(f"{by} made {new} current, which is disabled")
            if self.held_at is not None and now.tags.get("daena.hold"):
                since = self.now() - self.held_at
                text = f"{by} rotated {since:.0f} s after a hold"
                (self.wrong if since > INSTANT.total_seconds() else self.counted).append(text)
        if self.emergencies and new is not None:
            self.compromised.add(new)
        self.promotions.append(promotion)

    def _retired(self, version: str, by: str | None) -> None:
        if by is None or self.deleting or version in self.compromised | self.touched:
            return
        if not self.was_current(version):
            return
        ended = self.superseded(version)
        if ended is None:
            self._say(f"{by} retired {version}, which never stopped being current")
        elif self.grace is None:
            self._say(f"{by} retired {version}, whose grace never ends")
        elif self.skewed:
            return
        elif self.now() - ended < self.grace.total_seconds() - 1:
            after = timedelta(seconds=round(self.now() - ended))
            self._say(f"{by} retired {version} {after} after it was current")

    def _say(self, text: str) -> None:
        self.wrong.append(text)
