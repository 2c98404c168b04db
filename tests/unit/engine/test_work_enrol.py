"""Enrolling a key because of its tags, when the store fails, or somebody else is faster."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.errors import AccessDenied, StoreUnavailable
from daena_kms.rules.plan import Outcome
from daena_kms.rules.policy import FIRST_DUE

from tests.unit.engine.engines import World

KEY = "their-key"
LEAK: dict[str, Any] = {"keys": [KEY], "compromised": True, "reason": "it leaked"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A store with a key that somebody tagged."""
    made = World(tmp_path / "store")
    made.tag_theirs(KEY, secrets.token_urlsafe(), managed="true", spec="token")
    yield made
    made.store.close()


def kinds(world: World) -> list[tuple[str, str]]:
    """Return what the log says was done."""
    rows = (row for record in world.records("outcome") for row in record["results"])
    return [(row["kind"], row["result"]) for row in rows]


def refuse(name: str, key_id: str) -> None:
    """Let the store refuse the change."""
    if name == "enrol":
        raise AccessDenied("refused", key_id=key_id)


def test_a_refused_enrolment_rotates_nothing(world: World) -> None:
    """Nor in an emergency: the key fails with the store's reason, and no revocation is left."""
    world.store.before = refuse
    summary = world.run(**LEAK)
    assert (summary.failed, summary.enrolled, summary.rotated) == ([KEY], [], [])
    assert summary.errors[KEY].what == "refused"
    assert [kind for kind, result in kinds(world) if result == "failed"] == ["enrol", "rotate"]
    assert world.count(KEY) == 1
    assert world.records("closing")[-1]["unresolved"] == []
    world.store.before = lambda _name, _key: None
    assert world.run(timedelta()).enrolled == [KEY]


def test_a_lost_answer_does_not_stop_an_emergency(world: World) -> None:
    """A look shows that the key is enrolled after all, and the rotation follows."""
    world.store.lose_answer(KEY)
    summary = world.run(timedelta(), **LEAK)
    assert (summary.rotated, summary.revoked) == ([KEY], [KEY])
    assert (world.count(KEY), world.store.describe(KEY).enrolled) == (2, True)
    world.run(timedelta(minutes=1))
    recovered = [row for record in world.records("recovery") for row in record["results"]]
    assert [(row["kind"], row["result"]) for row in recovered] == [("enrol", "done")]


def test_a_store_that_did_nothing_and_did_not_answer_stops_it(world: World) -> None:
    """Without an enrolment there is no rotation; the next try finds the key as it was."""

    def away(name: str, key_id: str) -> None:
        if name == "enrol":
            raise StoreUnavailable("no answer", key_id=key_id)

    world.store.before = away
    summary = world.run(timedelta(), **LEAK)
    assert (summary.failed, summary.rotated, summary.revoked) == ([KEY], [], [])
    assert world.count(KEY) == 1
    world.store.before = lambda _name, _key: None
    again = world.run(timedelta(minutes=1), **LEAK)
    assert (again.enrolled, again.rotated, again.revoked) == ([KEY], [KEY], [KEY])


def test_a_run_that_comes_second_does_nothing(world: World) -> None:
    """Whether it notices at its second look or only when it writes: skipped, first-due is kept."""
    listed = list(world.store.scan())
    assert world.run(timedelta()).enrolled == [KEY]
    first = world.store.describe(KEY).tags[FIRST_DUE]
    scan, world.store.scan = world.store.scan, lambda: iter(listed)  # type: ignore[method-assign] # a listing that lags
    summary = world.run(timedelta(hours=3))
    assert (summary.enrolled, summary.skipped) == ([], [KEY])
    assert summary.notes[KEY] == "it is already enrolled"
    world.store.describe = lambda _key, **_: listed[0]  # type: ignore[method-assign] # and a look that does
    summary = world.run(timedelta(hours=3))
    assert (summary.enrolled, summary.skipped) == ([], [KEY])
    assert "another run has enrolled it" in summary.notes[KEY]
    del world.store.describe
    world.store.scan = scan  # type: ignore[method-assign] # as it was
    assert world.store.describe(KEY).tags[FIRST_DUE] == first


def test_a_tag_that_was_taken_off_right_before_the_write_counts(world: World) -> None:
    """The store itself looks once more, and the tag stays off."""

    def release(name: str, key_id: str) -> None:
        if name == "enrol":
            world.store.tag(world.store.describe(key_id), {"daena.managed": None})

    world.store.before = release
    summary = world.run(timedelta())
    assert (summary.enrolled, summary.skipped) == ([], [KEY])
    found = world.store.describe(KEY)
    assert (found.enrolled, dict(found.tags)) == (False, {"daena.spec": "token"})


def test_it_is_left_when_there_is_no_time(world: World) -> None:
    """The next run enrols it."""
    summary = world.run(timedelta(), deadline=0)
    assert (summary.enrolled, summary.left) == ([], [KEY])
    assert world.run(timedelta()).enrolled == [KEY]


def test_what_the_caller_saw_does_not_hide_versions(world: World) -> None:
    """A caller's look at a key that is not enrolled is not enough: the run looks closer."""
    look = world.store.describe(KEY)
    looked: list[str] = []
    describe = world.store.describe

    def noted(key_id: str, *, exact: bool = False) -> object:
        looked.append(key_id)
        return describe(key_id, exact=exact)

    world.store.describe = noted  # type: ignore[method-assign, assignment] # counts the looks
    assert world.run(timedelta(), keys=[KEY], looks={KEY: look}).enrolled == [KEY]
    assert looked == [KEY, KEY]


def test_the_record_says_when_it_is_first_due(world: World) -> None:
    """The intent and the result carry it, and the tag is the result's."""
    world.run(timedelta())
    (intent,) = (action for record in world.records("intent") for action in record["actions"])
    (result,) = (row for record in world.records("outcome") for row in record["results"])
    assert (intent["kind"], result["kind"], result["result"]) == ("enrol", "enrol", Outcome.DONE)
    assert intent["why"].startswith("enrolled by tag; first due at ")
    assert result["due"] == world.store.describe(KEY).tags[FIRST_DUE]
    assert result["message"] == f"enrolled by tag; first due at {result['due']}"
    assert intent["versions"] == result["versions"] == [intent["base"]]
