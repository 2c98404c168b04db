"""What must hold between any two states of a store, whatever happened in between."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daena_kms.audit.reader import records, revokes
from daena_kms.audit.records import decode
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import DaenaKMSError
from daena_kms.objects.base import Objects
from daena_kms.rules.model import Key, Version, VersionState
from daena_kms.rules.names import mark
from daena_kms.rules.policy import FIRST_DUE, HOLD, MANAGED

from tests.unit.keys import DAY
from tests.unit.local_keys import fingerprint
from tests.worlds.seam import Seam

READABLE = {VersionState.CURRENT, VersionState.PREVIOUS}
UNDESTROYED = {*READABLE, VersionState.RETIRED}
#: A version stays where it is, or takes one step of its life.
STEPS = {
    (VersionState.CURRENT, VersionState.PREVIOUS),
    (VersionState.PREVIOUS, VersionState.RETIRED),
    (VersionState.RETIRED, VersionState.DESTROYED),
}


@dataclass(frozen=True)
class Rules:
    """One key's policy, written down apart from the code that parses it."""

    spec: str
    rotate_after: timedelta
    grace: timedelta | None
    destroy_after: timedelta | None
    keep: int = 2

    @property
    def tags(self) -> dict[str, str]:
        """The policy as tags."""
        given = {
            "daena.rotate-after": f"{self.rotate_after // DAY}d",
            "daena.grace": f"{self.grace // DAY}d" if self.grace else "never",
            "daena.keep": str(self.keep),
        }
        if self.destroy_after:
            given["daena.destroy-after"] = f"{self.destroy_after // DAY}d"
        return given


KEYS = {
    "plain": Rules("token", 30 * DAY, 10 * DAY, 20 * DAY),
    "data": Rules("aes-256", 45 * DAY, None, None),
    # Grace is longer than the interval: several versions are in it at once.
    "quick": Rules("password", 7 * DAY, 20 * DAY, DAY, keep=3),
}
IDS = list(KEYS)


class Points(Seam):
    """A seam that counts what changes something and each look at a key, and lets others meddle."""

    _UNCOUNTED = frozenset({"get", "entries", "children", "scan"})

    def __init__(self) -> None:
        super().__init__()
        self._meddling: Callable[[], object] | None = None
        self._meddles_at = 0

    def meddle(self, at: int, meddling: Callable[[], object]) -> None:
        """Let somebody else do this right before the call number ``at`` from now on.

        Not between the last look at a key and its retirement or destruction: no store can compare
        tags there, and the promise is about the tags as that look showed them.
        """
        self._meddling, self._meddles_at = meddling, at

    def calm(self) -> None:
        """Let every call pass, and nobody meddle."""
        self.disarm()
        self._meddling = None

    def pass_through[T](self, name: str, call: Callable[[], T], error: type[DaenaKMSError]) -> T:
        """Make one call, or fail it."""
        if name in self._UNCOUNTED and not self._dead:
            return call()
        late = len(self.calls) + 1 >= self._meddles_at and name not in {"retire", "destroy"}
        if self._meddling is not None and late:
            meddling, self._meddling = self._meddling, None
            meddling()
        return super().pass_through(name, call, error)


class State:
    """What a store held at one moment, looked at from outside."""

    def __init__(self, adapter: LocalAdapter, now: datetime) -> None:
        self.now = now
        self.keys: dict[str, Key] = {}
        #: Fingerprints of the values that can be read, by key and version.
        self.values: dict[tuple[str, str], str] = {}
        for key_id in IDS:
            try:
                key = self.keys[key_id] = adapter.store.describe(key_id)
            except DaenaKMSError:
                continue
            for version in key.versions:
                if key.deleted is None and version.state in READABLE:
                    value = adapter.store.read(key_id, version.id)
                    self.values[key_id, version.id] = fingerprint(value)

    def managed(self, key_id: str) -> bool:
        """Say whether there is such a key, and it carries the tag."""
        return key_id in self.keys and self.keys[key_id].tags.get(MANAGED) == "true"

    def frozen(self, key_id: str) -> bool:
        """Say whether nothing may change this key's versions."""
        deleted = self.keys[key_id].deleted is not None
        return deleted or not self.managed(key_id) or self.held(key_id)

    def held(self, key_id: str) -> bool:
        """Say whether the key is on hold."""
        hold = self.keys[key_id].tags.get(HOLD, "false")
        return hold == "true" or (hold != "false" and self.now < datetime.fromisoformat(hold))

    def due(self, key_id: str) -> bool:
        """Say whether the key is to be rotated by a run without names."""
        if self.frozen(key_id):
            return False
        key = self.keys[key_id]
        current = _current(key)
        if current.to_revoke:  # an emergency that did not get as far as a new version
            return True
        first = key.tags.get(FIRST_DUE)
        return self.now >= current.created + KEYS[key_id].rotate_after and (
            first is None or self.now >= datetime.fromisoformat(first)
        )

    def over(self, key_id: str) -> list[str]:
        """Return the readable versions whose grace is over."""
        grace = KEYS[key_id].grace
        return [
            v.id
            for v in self.keys[key_id].versions
            if v.state is VersionState.PREVIOUS
            and grace is not None
            and v.superseded is not None
            and v.superseded + grace <= self.now
        ]


def _current(key: Key) -> Version:
    (current,) = [v for v in key.versions if v.state is VersionState.CURRENT]
    return current


def compare(
    before: State,
    after: State,
    values: Mapping[tuple[str, str], str],
    leaked: Collection[tuple[str, str]],
) -> None:
    """Assert what holds between two states: of each key, of each version, of each value."""
    assert before.keys.keys() <= after.keys.keys(), "a key is gone"
    for key_id, key in after.keys.items():
        _check_key(key, after)
        if key_id in before.keys:
            _check_steps(before.keys[key_id], key, after.now, leaked)
    for (key_id, version_id), value in after.values.items():
        same = values.get((key_id, version_id), value) == value
        assert same, f"the value of {key_id} {version_id} changed"


def leaked_in(log: Objects, seen: set[str]) -> set[tuple[str, str]]:
    """Return what emergencies were to retire, by key and version, as objects not seen yet say."""
    return {
        (action["key"], action["version"])
        for name, data in records(log)
        if name not in seen
        for action in decode(data, name).get("actions", ())
        if revokes(action)
    }


def check_records(log: Objects, seen: set[str], state: State) -> set[str]:
    """Assert that what the log says was made was made from what it says; return what was seen."""
    written = {name: data for name, data in records(log) if name not in seen}
    for name, data in written.items():
        for row in decode(data, name).get("results", ()):
            key = state.keys.get(row["key"])
            made = key.version(row["new_version"]) if key and "new_version" in row else None
            assert made is None or made.base_mark == mark(row.get("base")), row
    return seen | written.keys()


_SKEW = timedelta(seconds=30)


def _check_key(key: Key, state: State) -> None:
    current = _current(key)
    bases = Counter(v.base_mark for v in key.versions)
    assert max(bases.values()) == 1, f"two versions from one base: {key.versions}"
    marks = {mark(v.id) for v in key.versions} | {mark(None)}
    assert bases.keys() <= marks, f"a version from nowhere: {key.versions}"
    if key.deleted is None:
        assert (key.id, current.id) in state.values
    for version in key.versions:
        assert version.was_current
        # Who writes past us keeps a clock of their own.
        assert version.created <= current.created + _SKEW


def _check_steps(
    before: Key, after: Key, now: datetime, leaked: Collection[tuple[str, str]]
) -> None:
    rules = KEYS[after.id]
    destroyed = 0
    for old in before.versions:
        new = after.version(old.id)
        assert new is not None, f"{old} is gone"
        early = (after.id, new.id) in leaked
        # A mark is only on what an emergency was about, stays, and is settled at most once.
        assert new.compromised == (early and new.compromised) >= old.compromised
        assert new.revoked >= old.revoked
        if new.state is old.state:
            assert replace(new, compromised=old.compromised) == old
            continue
        steps = STEPS | {(VersionState.CURRENT, VersionState.RETIRED)} if early else STEPS
        assert (old.state, new.state) in steps, f"{old} became {new}"
        assert new.created == old.created
        if new.state is VersionState.RETIRED and not early:
            assert rules.grace is not None
            assert new.superseded is not None
            assert new.retired is not None
            assert new.superseded + rules.grace <= new.retired <= now
        if new.state is VersionState.DESTROYED:
            assert rules.destroy_after is not None
            assert old.retired is not None
            assert old.retired + rules.destroy_after <= now
            destroyed += 1
    kept = sum(v.state in UNDESTROYED for v in after.versions)
    assert not destroyed or kept >= rules.keep
    known = {v.id for v in before.versions}
    current = _current(after)
    assert current.id == _current(before).id or current.id not in known, "an old one was promoted"
