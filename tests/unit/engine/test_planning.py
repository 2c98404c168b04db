"""What a run looks at to plan, which of its looks serve for the change, and what it leaves out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.engine.survey import Survey
from daena_kms.errors import AccessDenied, KeyNotFound, RotationConflict
from daena_kms.rules.model import Capabilities, Key
from daena_kms.rules.plan import Kind
from daena_kms.rules.specs import parse_spec
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.base import Staged
from daena_kms.stores.local.store import LocalStore

from tests.unit.engine.engines import DAY, DUE, HookedStore, World, a_request
from tests.unit.keys import MINUTE, bounded

KEY = "some-key"


class CountingStore(HookedStore):
    """Notes each look; ``listed`` is what a listing shows, where it lags."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.looked: list[tuple[str, bool]] = []
        self.listed: list[Key] | None = None
        self.broken: dict[str, Exception] = {}

    def scan(self) -> Iterator[Key]:
        """List."""
        yield from super().scan() if self.listed is None else self.listed

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Look."""
        self.looked.append((key_id, exact))
        if key_id in self.broken:
            raise self.broken[key_id]
        return super().describe(key_id, exact=exact)

    def freeze(self) -> None:
        """Let the listing show what is so now."""
        self.listed = list(super().scan())


class FencedStore(CountingStore):
    """A store that refuses to rotate on the word of a look that is no longer true."""

    can: Capabilities = replace(LocalStore.can, fenced=True)  # type: ignore[misc]  # as a store declares it

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Begin a rotation, if the look is true still."""
        if super(CountingStore, self).describe(key.id) != key:
            raise RotationConflict("the look is stale", key_id=key.id)
        return super().stage(key, material, now)


class Planning(World):
    """A store that counts, and a log."""

    store: CountingStore

    def __init__(self, home: Path, kind: type[CountingStore]) -> None:
        super().__init__(home)
        self.store.close()
        self.store = kind(home)
        self.adapter = CloudKMSAdapter(self.store)

    def survey(self, *, after: timedelta = DUE, **options: Any) -> Survey:
        """Return the survey of a run that begins after that time."""
        asked = {
            name: options.pop(name)
            for name in ("key_ids", "if_due", "looks", "deadline", "workers")
            if name in options
        }
        request = a_request(self.adapter, datetime.now(UTC) + after, **asked)
        return Survey(request=request, **options)

    def plans(self, **options: Any) -> list[tuple[str, Kind]]:
        """Return what a survey plans, by key."""
        return [(a.key_id, a.kind) for each in self.survey(**options).plans() for a in each]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Planning]:
    """A store without keys."""
    made = Planning(tmp_path, CountingStore)
    yield made
    made.store.close()


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Planning]:
    """A fenced store with two keys that are due."""
    made = Planning(tmp_path, FencedStore)
    made.create("one", "two", spec="token", grace="1d")
    yield made
    made.store.close()


def test_a_listing_is_planned_without_a_look(world: Planning) -> None:
    """One listing says all that a plan needs, due or not."""
    world.create("a", "b", spec="token")
    world.store.looked.clear()
    assert world.plans() == [("a", Kind.ROTATE), ("b", Kind.ROTATE)]
    assert world.plans(after=timedelta()) == [("a", Kind.NOTHING), ("b", Kind.NOTHING)]
    assert world.store.looked == []


def test_a_closer_look_is_taken_where_it_decides(world: Planning) -> None:
    """Of the keys whose listing leaves open whether they are due, and of no others."""
    world.create("a", "b", spec="token")
    world.store.freeze()
    assert world.store.listed is not None
    a, b = world.store.listed
    later = replace(b, older_since=datetime.now(UTC) - 30 * DAY)
    world.store.listed = [bounded(a, MINUTE), later]
    world.store.looked.clear()
    assert world.plans(after=timedelta()) == [("a", Kind.NOTHING), ("b", Kind.NOTHING)]
    assert world.store.looked == [("b", True)]


def test_a_pending_revocation_takes_a_closer_look(world: Planning) -> None:
    """A listing does not show everywhere whether the version is still readable."""
    world.create("a", "b", spec="token")
    world.store.looked.clear()
    world.plans(after=timedelta(), pending_revocations={"b": {"a version"}})
    assert world.store.looked == [("b", True)]
    world.store.looked.clear()
    key = world.store.describe("b")
    looks = {"key_ids": ("b",), "looks": {"b": key}}
    world.store.looked.clear()
    world.plans(**looks)
    assert world.store.looked == []
    world.plans(pending_revocations={"b": {"a version"}}, **looks)
    assert world.store.looked == [("b", True)]


def test_closer_looks_take_no_more_than_a_share_of_the_time(world: Planning) -> None:
    """What a listing shows is planned all the same."""
    world.create("a", spec="token")
    world.store.freeze()
    assert world.store.listed is not None
    late = replace(world.store.listed[0], older_since=datetime.now(UTC) - 30 * DAY)
    world.store.listed = [late]
    world.store.looked.clear()
    assert world.plans(deadline=timedelta()) == [("a", Kind.ROTATE)]
    assert world.store.looked == []


def test_a_key_that_cannot_be_looked_at_fails_alone(world: Planning) -> None:
    """The others are planned, and its own error is told."""
    world.create("a", "b", "c", spec="token")
    error = AccessDenied("refused", key_id="b")
    world.store.freeze()
    assert world.store.listed is not None
    since = datetime.now(UTC) - 30 * DAY
    world.store.listed = [replace(key, older_since=since) for key in world.store.listed]
    world.store.broken["b"] = error
    found = [action for each in world.survey().plans() for action in each]
    assert [(a.key_id, a.kind) for a in found] == [
        ("a", Kind.ROTATE),
        ("b", Kind.FAILING),
        ("c", Kind.ROTATE),
    ]
    assert found[1].error is error
    assert world.plans(key_ids=("c", "b", "a")) == [
        ("c", Kind.ROTATE),
        ("b", Kind.FAILING),
        ("a", Kind.ROTATE),
    ]


def test_keys_that_are_named_are_rotated_due_or_not(world: Planning) -> None:
    """In the order in which they were named; a look at each serves for the change."""
    world.create("a", "b", spec="token")
    survey = world.survey(after=timedelta(), key_ids=("b", "a"))
    kinds = [(a.key_id, a.kind) for each in survey.plans() for a in each]
    assert kinds == [("b", Kind.ROTATE), ("a", Kind.ROTATE)]
    assert set(survey.looks) == {"a", "b"}
    assert survey.random_bytes == 2 * parse_spec("token").random_bytes


def test_keys_that_are_asked_for_if_due(world: Planning) -> None:
    """An event is a hint: what is not due is not done, and what is not there is nothing."""
    world.create("a", "b", spec="token")
    assert world.plans(after=timedelta(), key_ids=("a",), if_due=True) == [("a", Kind.NOTHING)]
    assert world.plans(key_ids=("a",), if_due=True) == [("a", Kind.ROTATE)]
    assert world.plans(key_ids=("missing",), if_due=True) == []
    assert world.plans(key_ids=("missing",)) == [("missing", Kind.FAILING)]


def test_a_run_of_one_key_if_due(world: Planning) -> None:
    """It rotates that key alone, and only once."""
    world.create("a", "b", spec="token")
    assert world.run(keys=["a"], if_due=True, after=timedelta()).rotated == []
    done = world.run(keys=["a"], if_due=True)
    assert (done.rotated, done.ok) == (["a"], True)
    again = world.run(keys=["a"], if_due=True)
    assert (again.rotated, again.ok) == ([], True)
    assert (world.count("a"), world.count("b")) == (2, 1)
    world.store.tag(world.store.describe("b"), {"daena.hold": "true"})
    held = world.run(keys=["b"], if_due=True)
    assert (held.rotated, held.held, held.ok) == ([], ["b"], True)


def test_a_key_of_others_that_is_asked_for_if_due(world: Planning) -> None:
    """Events come for all secrets: one that is not managed is none of ours, and no failure."""
    world.create("a", spec="token")
    world.store.tag(world.store.describe("a"), {"daena.managed": None})
    assert world.plans(key_ids=("a",), if_due=True) == []
    done = world.run(keys=["a"], if_due=True)
    assert (done.rotated, done.failed, world.count("a")) == ([], [], 1)


def test_no_time_to_look(world: Planning) -> None:
    """What was named is left, not forgotten."""
    world.create("a", spec="token")
    world.store.looked.clear()
    (actions,) = world.survey(key_ids=("a",), deadline=timedelta()).plans()
    assert [(a.kind, a.reason) for a in actions] == [
        (Kind.ROTATE, "no time was left to look at the key")
    ]
    assert world.store.looked == []
    assert world.run(keys=["a"], deadline=timedelta()).left == ["a"]


def test_a_rotation_that_was_interrupted_is_finished(world: Planning) -> None:
    """As the log says, if its base is current still."""
    world.create("a", spec="token")
    current = world.store.describe("a").current
    assert current is not None
    assert world.plans(interrupted={"a": current.id}) == [("a", Kind.FINISH)]
    assert world.plans(interrupted={"a": "another"}) == [("a", Kind.ROTATE)]


def test_a_fenced_store_is_not_looked_at_again(fenced: Planning) -> None:
    """The listing serves for the change: its etag is the look."""
    fenced.store.looked.clear()
    assert fenced.run().rotated == ["one", "two"]
    assert fenced.store.looked == []


def test_a_key_that_changed_since_the_listing_is_looked_at(fenced: Planning) -> None:
    """The store refuses the stale look; a fresh one decides, and the key is rotated once."""
    fenced.store.freeze()
    fenced.store.tag(fenced.store.describe("one"), {"daena.keep": "3"})
    fenced.store.looked.clear()
    assert fenced.run().rotated == ["one", "two"]
    assert fenced.store.looked == [("one", False)]
    assert fenced.count("one") == 2


@pytest.mark.parametrize(
    "tags",
    [{"daena.hold": "true"}, {"daena.managed": None}, {"daena.first-due": "2099-01-01T00:00:00Z"}],
    ids=["held", "not managed", "not due"],
)
def test_a_change_of_mind_since_the_listing_is_heeded(
    fenced: Planning, tags: dict[str, str | None]
) -> None:
    """The key's own tags right before the change count, not those of the listing."""
    fenced.store.freeze()
    fenced.store.tag(fenced.store.describe("one"), tags)
    done = fenced.run()
    assert (done.rotated, done.skipped) == (["two"], ["one"])
    assert fenced.count("one") == 1


def test_a_rotation_since_the_listing_is_seen(fenced: Planning) -> None:
    """A stale listing rotates nothing twice."""
    fenced.store.freeze()
    assert fenced.run().rotated == ["one", "two"]
    again = fenced.run()
    assert (again.rotated, again.skipped) == ([], ["one", "two"])
    assert fenced.count("one") == 2


@pytest.mark.parametrize(
    "tags",
    [{"daena.hold": "true"}, {"daena.managed": None}, {"daena.grace": "never"}],
    ids=["held", "not managed", "a longer grace"],
)
def test_nothing_is_retired_on_the_word_of_a_listing(
    fenced: Planning, tags: dict[str, str | None]
) -> None:
    """Only a rotation is fenced: before a retirement the key is looked at again."""
    fenced.run(after=timedelta(), keys=["one"])
    fenced.store.freeze()
    fenced.store.tag(fenced.store.describe("one"), tags)
    fenced.store.changes.clear()
    done = fenced.run(after=2 * DAY)
    assert (done.retired, fenced.store.changes) == ([], [])


def test_a_key_that_is_gone_by_the_second_look(fenced: Planning) -> None:
    """A lost race is looked at anew: what was purged fails, the other is rotated."""
    fenced.store.freeze()
    fenced.store.broken["one"] = KeyNotFound("gone", key_id="one")
    fenced.store.before = _conflict_once()
    done = fenced.run()
    assert done.rotated == ["two"]
    assert isinstance(done.errors["one"], KeyNotFound)


def _conflict_once() -> Any:
    seen: set[str] = set()

    def before(_name: str, key_id: str) -> None:
        if key_id not in seen:
            seen.add(key_id)
            raise RotationConflict("faster", key_id=key_id)

    return before
