"""One key's work: look again, do only what both plans say, and never raise."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.engine.worker import FRESH, Worker, was_interrupted
from daena_kms.errors import (
    AccessDenied,
    ConfigError,
    DaenaKMSError,
    KeyNotFound,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.model import Key
from daena_kms.rules.plan import Action, Kind, plan_key
from daena_kms.rules.policy import Defaults, parse_policy
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.local.store import LocalStore
from daena_kms.stores.randomness import local_random

from tests.unit.engine.engines import DAY, DUE, HookedStore, a_request

KEY = "some-key"
DEFAULTS = Defaults()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HookedStore]:
    """A store with one due key."""
    made = HookedStore(tmp_path)
    made.create(KEY, secrets.token_urlsafe(), {"daena.managed": "true"}, datetime.now(UTC) - DUE)
    yield made
    made.close()


def worker(store: LocalStore, *, named: bool = False, **options: Any) -> Worker:
    """Return a worker of a run that begins now."""
    adapter = CloudKMSAdapter(store, DEFAULTS)
    request = a_request(adapter, key_ids=(KEY,) if named else None)
    return Worker(request=request, random=local_random, **options)


def planned(store: LocalStore, after: timedelta = timedelta()) -> list[Action]:
    """Return the plan of the key."""
    now = datetime.now(UTC) + after
    return plan_key(store.describe(KEY), DEFAULTS, store.can, now)


def test_what_was_planned_is_done(store: HookedStore) -> None:
    """A due key is rotated, and the result says so, with the new version and the times."""
    (result,) = worker(store)(planned(store))
    current = store.describe(KEY).current
    assert current is not None
    assert (result.result, result.new_version, result.error) == ("done", current.id, None)
    assert result.started is not None
    assert result.ended is not None
    assert result.started <= result.ended


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"daena.hold": "true"}, "on hold"),
        ({"daena.managed": None}, "no longer managed"),
        ({"daena.managed": "false"}, "no longer managed"),
        ({"daena.rotate-after": "365d"}, "next due"),
        ({"daena.first-due": "2099-01-01T00:00:00Z"}, "next due"),
    ],
)
def test_a_change_of_mind_since_the_plan_is_heeded(
    store: HookedStore, tags: dict[str, str | None], words: str
) -> None:
    """The key's own tags right before the change count, not those of the plan."""
    actions = planned(store)
    store.tag(store.describe(KEY), tags)
    (result,) = worker(store)(actions)
    assert (result.result, store.changes) == ("skipped", [])
    assert words in str(result.message)


def test_a_key_that_was_deleted_since(store: HookedStore) -> None:
    """A deleted key is left alone."""
    actions = planned(store)
    store.delete(store.describe(KEY), datetime.now(UTC))
    (result,) = worker(store)(actions)
    assert (result.result, store.changes) == ("skipped", [])


def test_a_policy_that_broke_since(store: HookedStore) -> None:
    """A malformed tag fails the key."""
    actions = planned(store)
    store.tag(store.describe(KEY), {"daena.keep": "many"})
    (result,) = worker(store)(actions)
    assert (result.result, store.changes) == ("failed", [])
    assert isinstance(result.error, ConfigError)


def test_a_key_that_was_rotated_since(store: HookedStore) -> None:
    """Another version is current: nothing is done, also when the key was named."""
    actions = planned(store)
    assert worker(store)(actions)[0].result == "done"
    store.changes.clear()
    for named in (False, True):
        (result,) = worker(store, named=named)(actions)
        assert (result.result, store.changes) == ("skipped", [])
        assert "already rotated: daena-" in str(result.message)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RotationConflict("faster"), "skipped"),
        (StoreUnavailable("no answer"), "unknown"),
        (AccessDenied("refused"), "failed"),
        (KeyNotFound("gone"), "failed"),
        (ConfigError("wrong"), "failed"),
        (RuntimeError("canary"), "unknown"),
        (ValueError("canary"), "unknown"),
        (MemoryError("canary"), "unknown"),
    ],
)
def test_an_error_is_a_result(store: HookedStore, error: Exception, expected: str) -> None:
    """Every error becomes a result; a foreign one's text is not passed on."""
    actions = planned(store)

    def fail(_name: str, _key: str) -> None:
        raise error

    store.before = fail
    (result,) = worker(store)(actions)
    assert result.result == expected
    assert "canary" not in repr(result) + str(result.error)
    if expected != "skipped":
        assert isinstance(result.error, DaenaKMSError)


def test_a_look_is_used_while_it_is_fresh(
    store: HookedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look of the plan serves the first action for some seconds, once."""
    looks = []
    inner = store.describe

    def describe(key_id: str, *, exact: bool = False) -> Key:
        looks.append(key_id)
        return inner(key_id, exact=exact)

    actions = planned(store)
    key = store.describe(KEY)
    monkeypatch.setattr(store, "describe", describe)
    ours = worker(store, looks={KEY: (key, timedelta())})
    assert (ours(actions)[0].result, looks) == ("done", [])
    stale = worker(store, looks={KEY: (key, -FRESH)})
    assert (stale(actions)[0].result, looks) == ("skipped", [KEY])


def test_a_worker_that_was_stopped_begins_nothing(store: HookedStore) -> None:
    """Every action of the key is left."""
    actions = planned(store) * 2
    ours = worker(store)
    ours.stopped = True
    assert [r.result for r in ours(actions)] == ["left", "left"]
    assert store.changes == []


def test_a_planned_rotation_may_turn_into_a_finish(store: HookedStore) -> None:
    """The two are one to the check: what began to look interrupted is rotated all the same."""
    actions = planned(store)
    base = actions[0].base
    (result,) = worker(store, interrupted={KEY: base})(actions)
    assert (result.result, result.action.kind) == ("done", Kind.ROTATE)


def test_what_was_interrupted(store: HookedStore) -> None:
    """Only a rotation from the version that still is current counts as interrupted."""
    key = store.describe(KEY)
    assert key.current is not None
    assert was_interrupted(key, {KEY: key.current.id})
    assert not was_interrupted(key, {KEY: "another"})
    assert not was_interrupted(key, {KEY: None})
    assert not was_interrupted(key, {})
    assert not was_interrupted(Key(KEY, {}, ()), {KEY: None})


def test_retirement_is_planned_again_too(store: HookedStore) -> None:
    """A version whose grace was lengthened since the plan stays readable."""
    now = datetime.now(UTC)
    store.tag(store.describe(KEY), {"daena.grace": "1d", "daena.rotate-after": "365d"})
    key = store.describe(KEY)
    store.promote(key, store.stage(key, secrets.token_urlsafe(), now), now - 2 * DAY)
    actions = planned(store)
    assert [a.kind for a in actions] == [Kind.RETIRE]
    store.tag(store.describe(KEY), {"daena.grace": "30d"})
    store.changes.clear()
    (result,) = worker(store)(actions)
    assert (result.result, store.changes) == ("skipped", [])
    store.tag(store.describe(KEY), {"daena.grace": "1d"})
    (result,) = worker(store)(actions)
    assert (result.result, store.changes) == ("done", [("retire", KEY)])


@pytest.mark.parametrize(
    ("tags", "result"),
    [
        ({"daena.spec": "password"}, "done"),
        ({"daena.spec": "aes-128"}, "done"),
        # The same spec, written out; and another interval, which is over as well.
        ({"daena.spec": "aes-256"}, "done"),
        ({"daena.rotate-after": "1d"}, "done"),
        ({"daena.spec": "password:length=12:classes=digit"}, "failed"),
    ],
)
def test_a_rotation_goes_by_the_policy_of_the_moment(
    store: HookedStore, tags: dict[str, str], result: str
) -> None:
    """If it has changed since the plan, the outcome says which policy the value was made by."""
    actions = planned(store)
    store.tag(store.describe(KEY), tags)
    (done,) = worker(store)(actions)
    assert done.result == result
    assert len(store.describe(KEY).versions) == 1 + (result == "done")
    if result == "done":
        changed = parse_policy(store.describe(KEY).tags, DEFAULTS, store.can)
        same = changed == actions[0].policy
        assert done.record().get("spec") == (None if same else changed.spec.text)
