"""``POST …/rotate`` of a key that has leaked: who may, what it takes, and what it answers."""

import json
from datetime import datetime

import pytest
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.model import Key, VersionState
from daena_kms.stores.base import Staged

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World

ROTATE = "/v1/keys/app-key/rotate"
LEAKED = {"compromised": True, "reason": "in a public log"}


@pytest.fixture
def old(world: World) -> str:
    """A key's only version."""
    world.create("app-key")
    current = world.store.describe("app-key").current
    assert current is not None
    return current.id


def states(world: World) -> list[VersionState]:
    """The states of the key's versions, sorted."""
    return sorted(version.state for version in world.store.describe("app-key").versions)


def test_the_answer_says_what_is_revoked_and_who_reads_it(world: World, old: str) -> None:
    """The new version, the old one, and what retiring comes to on this store."""
    response = ask(world, "POST", ROTATE, LEAKED)
    current = world.store.describe("app-key").current
    assert current is not None
    assert response.status == 200
    assert response.headers["etag"] == f'"{current.id}"'
    assert response.document["version"] == current.id
    assert response.document["revoked"] == [old]
    assert response.document["revoking"]["readable"] is None
    assert f"version {old} is retired" in response.document["note"]
    assert states(world) == [VersionState.CURRENT, VersionState.RETIRED]
    record = world.records("closing")[-1]
    assert (record["reason"], record["principal"]) == ("in a public log", ARN)


@pytest.mark.parametrize(
    "body",
    [
        {"compromised": True},
        {"compromised": True, "reason": None},
        {"compromised": True, "reason": " "},
        {"compromised": "true", "reason": "x"},
        {"compromised": 1, "reason": "x"},
    ],
)
def test_it_takes_a_reason_and_a_plain_yes(world: World, old: str, body: object) -> None:
    """Anything else is refused, and nothing happened."""
    puts = world.log.puts
    check_problem(ask(world, "POST", ROTATE, body), 400, "bad-request")
    assert world.log.puts == puts
    assert [version.id for version in world.store.describe("app-key").versions] == [old]


@pytest.mark.parametrize("may", ["rotate", "compromise"])
def test_it_needs_a_permission_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, may: str
) -> None:
    """Who may rotate may not break off readers by that, nor the other way round."""
    world.create("app-key")
    monkeypatch.setenv("DAENA_KMS_ACCESS", json.dumps([{"who": "*", "may": may}]))
    answers = {
        "rotate": ask(world, "POST", ROTATE, {**LEAKED, "compromised": False}),
        "compromise": ask(world, "POST", ROTATE, LEAKED),
    }
    assert {what: answer.status for what, answer in answers.items()} == {
        "rotate": 200 if may == "rotate" else 403,
        "compromise": 200 if may == "compromise" else 403,
    }


def test_no_interval_holds_it_up(world: World, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version may leak as soon as it is made; but somebody must be allowed to say so."""
    monkeypatch.setenv("DAENA_KMS_MIN_INTERVAL", "9000d")
    assert ask(world, "POST", ROTATE, {}).status == 429
    assert ask(world, "POST", ROTATE, LEAKED).status == 429
    monkeypatch.setenv("DAENA_KMS_ACCESS", json.dumps([{"who": ARN, "may": "*"}]))
    assert ask(world, "POST", ROTATE, {}).status == 429
    assert ask(world, "POST", ROTATE, LEAKED).document["revoked"] == [old]


def test_half_of_it_is_told_as_that(
    world: World, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version is named, and that the old one is not retired; the next run does it."""

    def refuse(*_: object) -> None:
        raise StoreUnavailable("it does not answer", key_id="app-key", todo="Wait")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "revoke", refuse)
        response = ask(world, "POST", ROTATE, LEAKED)
    problem = check_problem(response, 503, "not-retired")
    current = world.store.describe("app-key").current
    assert current is not None
    assert problem["current"] == current.id != old
    assert "is not retired yet: it does not answer" in problem["detail"]
    assert response.headers["etag"] == f'"{current.id}"'
    answer = ask(world, "POST", "/v1/runs").document
    assert answer["revoked_versions"] == {"app-key": [old]}
    assert states(world) == [VersionState.CURRENT, VersionState.RETIRED]


@pytest.mark.parametrize("number", [0, 1])
def test_one_of_two_is_no_success(
    world: World, old: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Of what an earlier emergency owes and what this one is about, one is readable still."""
    revoke, refused = world.store.revoke, {old}

    def refuse(key: Key, version: str, now: datetime) -> None:
        if version in refused:
            raise StoreUnavailable("it does not answer", key_id="app-key", todo="Wait")
        revoke(key, version, now)

    monkeypatch.setattr(world.store, "revoke", refuse)
    second = ask(world, "POST", ROTATE, LEAKED).document["current"]
    refused.clear()
    refused.add((old, second)[number])
    problem = check_problem(ask(world, "POST", ROTATE, LEAKED), 503, "not-retired")
    assert f"{(old, second)[number]} is not retired yet: it does not answer" in problem["detail"]
    assert (old, second)[1 - number] not in problem["detail"]


@pytest.mark.parametrize(("matching", "status"), [(True, 412), (False, 409)])
def test_who_loses_the_race_hears_what_is_retired(
    world: World, old: str, monkeypatch: pytest.MonkeyPatch, *, matching: bool, status: int
) -> None:
    """Another rotation was faster; the version that was said to have leaked is retired still."""
    stage = world.store.stage

    def late(key: Key, material: str, now: datetime) -> Staged:
        monkeypatch.undo()
        world.adapter.rotate_key("app-key")
        return stage(key, material, now)

    monkeypatch.setattr(world.store, "stage", late)
    headers = {"if-match": f'"{old}"'} if matching else {}
    answer = ask(world, "POST", ROTATE, LEAKED, headers=headers)
    assert answer.status == status
    assert f"version {old} is retired" in answer.document["detail"]
    assert states(world) == [VersionState.CURRENT, VersionState.RETIRED]


def test_a_repeated_request_does_it_once(world: World, old: str) -> None:
    """With If-Match; the second answer names the version that came of the first."""
    headers = {"if-match": f'"{old}"'}
    first = ask(world, "POST", ROTATE, LEAKED, headers=headers)
    again = ask(world, "POST", ROTATE, LEAKED, headers=headers)
    assert (first.status, again.status) == (200, 412)
    assert again.document["current"] == first.document["version"]
    assert states(world) == [VersionState.CURRENT, VersionState.RETIRED]
