"""Reading keys over HTTP, rolling back, holding and releasing."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World


def test_keys_are_listed_a_page_at_a_time(world: World) -> None:
    """By id; each page says where to go on, and the last one does not."""
    ids = world.fill(5)
    world.create("their-key")
    world.store.tag(world.store.describe("their-key"), {"daena.managed": "false"})

    pages = [ask(world, "GET", "/v1/keys?limit=2")]
    while "next" in pages[-1].document:
        pages.append(ask(world, "GET", f"/v1/keys?limit=2&after={pages[-1].document['next']}"))

    found = [[key["key"] for key in page.document["keys"]] for page in pages]
    assert found == [ids[:2], ids[2:4], ids[4:]]


def test_a_listed_key_says_when_it_is_due(world: World) -> None:
    """With its tags; a policy that can't be read leaves the due date open."""
    world.create("app-key", rotate_after="30d")
    world.create("bad-key")
    world.store.tag(world.store.describe("bad-key"), {"daena.keep": "0"})

    listed = {k["key"]: k for k in ask(world, "GET", "/v1/keys").document["keys"]}

    made, due = (datetime.fromisoformat(listed["app-key"][n]) for n in ("created", "due"))
    assert due - made == timedelta(days=30)
    assert listed["app-key"]["tags"]["daena.rotate-after"] == "30d"
    assert (listed["bad-key"]["due"], listed["bad-key"]["created"] is None) == (None, False)


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "٣", "9" * 400])
def test_a_page_has_a_size_in_bounds(world: World, limit: str) -> None:
    """From 1 to 1,000."""
    problem = check_problem(ask(world, "GET", f"/v1/keys?limit={limit}"), 400, "bad-request")
    assert "1000" in problem["todo"]


@pytest.mark.parametrize(
    "query", ["x=1", "limit=1&limit=2", "LIMIT=1", "a" * 4001, "after=a&%00=b"]
)
def test_a_query_that_is_none_of_ours(world: World, query: str) -> None:
    """A field that is not known, or is there twice, is refused and not ignored."""
    check_problem(ask(world, "GET", f"/v1/keys?{query}"), 400, "bad-request")
    check_problem(ask(world, "GET", f"/v1/plan?{query}"), 400, "bad-request")


def test_one_key_is_shown_with_its_versions(world: World) -> None:
    """The current version is the entity tag; no version holds a value."""
    world.create("app-key")
    values = [world.adapter.get_key("app-key"), world.adapter.rotate_key("app-key")]

    answer = ask(world, "GET", "/v1/keys/app-key")

    current = world.store.describe("app-key").current
    assert current is not None
    assert (answer.status, answer.document["current"]) == (200, current.id)
    assert answer.headers["etag"] == f'"{current.id}"'
    states = [version["state"] for version in answer.document["versions"]]
    assert sorted(states) == ["current", "previous"]
    assert not any(value in answer.body for value in values)


def test_a_key_that_is_not_managed_is_not_shown(world: World) -> None:
    """Nor one that is not there; a deleted one says since when."""
    world.create("their-key", "gone-key")
    world.store.tag(world.store.describe("their-key"), {"daena.managed": None})
    world.adapter.delete_key("gone-key")

    for key_id in ("their-key", "no-key"):
        check_problem(ask(world, "GET", f"/v1/keys/{key_id}"), 404, "key-not-found")
    assert ask(world, "GET", "/v1/keys/gone-key").document["deleted"] is not None


def test_a_key_is_rolled_back(world: World) -> None:
    """To the previous version or to one that is named, as a new version, in the log with who."""
    world.create("app-key")
    first, old = (world.store.describe("app-key").current, world.adapter.get_key("app-key"))
    assert first is not None
    new = world.adapter.rotate_key("app-key")

    answer = ask(world, "POST", "/v1/keys/app-key/rollback", {"reason": "consumers broke"})

    assert (answer.status, answer.document["value_of"]) == (200, "previous")
    assert answer.headers["etag"] == f'"{answer.document["version"]}"'
    assert world.adapter.get_key("app-key") == old
    closing = world.records("closing")[-1]
    assert (closing["principal"], closing["reason"], closing["trigger"]) == (
        ARN,
        "consumers broke",
        "http",
    )
    named = ask(world, "POST", "/v1/keys/app-key/rollback", {"version": first.id})
    assert (named.status, named.document["value_of"]) == (200, first.id)
    assert not {old, new} & set(answer.body.split('"'))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": "no version of this store"}, 400, "bad-request"),
        ({"version": "a\\b"}, 400, "bad-request"),
        ({"version": "a'b\"c"}, 400, "bad-request"),
        ({"version": 7}, 400, "bad-request"),
        ({"version": ""}, 400, "bad-request"),
        ({"version": "daena-20260101T000000Z-0123456789-0123456789abcdef"}, 404, "key-not-found"),
        ({}, 404, "key-not-found"),
    ],
)
def test_a_rollback_to_what_is_not_there(
    world: World, body: dict[str, object], status: int, code: str
) -> None:
    """Says what is wrong with the version, and changes nothing."""
    world.create("app-key")
    check_problem(ask(world, "POST", "/v1/keys/app-key/rollback", body), status, code)
    assert world.store.changes == []


def test_a_key_is_held_and_released(world: World) -> None:
    """Until it is released, or until a time; both are in the log."""
    world.create("app-key")
    held = ask(world, "POST", "/v1/keys/app-key/hold", {"reason": "migrating"})
    assert (held.status, held.document) == (200, {"key": "app-key", "hold": "true"})
    check_problem(ask(world, "POST", "/v1/keys/app-key/rotate"), 409, "rotation-conflict")
    check_problem(ask(world, "POST", "/v1/keys/app-key/rollback"), 409, "rotation-conflict")

    until = "2999-01-01T00:00:00Z"
    timed = ask(world, "POST", "/v1/keys/app-key/hold", {"until": until})
    assert timed.document["hold"] == until
    assert ask(world, "POST", "/v1/keys/app-key/release").document["hold"] == "false"

    assert ask(world, "POST", "/v1/keys/app-key/rotate").status == 200
    kinds = [row["kind"] for r in world.records("outcome") for row in r["results"]]
    assert kinds == ["create", "hold", "held", "hold", "release", "rotate"]


@pytest.mark.parametrize(
    "until",
    [
        "tomorrow",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        7,
        "",
        "x" * 41,
    ],
)
def test_a_hold_until_what_is_no_time(world: World, until: object) -> None:
    """Says the form, and changes nothing."""
    world.create("app-key")
    check_problem(ask(world, "POST", "/v1/keys/app-key/hold", {"until": until}), 400, "bad-request")
    assert "daena.hold" not in world.store.describe("app-key").tags


@pytest.mark.parametrize("what", ["rotate", "rollback", "hold", "release"])
def test_keys_that_can_t_be_changed(world: World, what: str) -> None:
    """Each change answers alike for a key that is not there, is deleted, or not ours."""
    world.create("their-key", "gone-key")
    world.store.tag(world.store.describe("their-key"), {"daena.managed": None})
    world.adapter.delete_key("gone-key")
    for key_id, status, code in (
        ("no-key", 404, "key-not-found"),
        ("gone-key", 404, "key-not-found"),
        ("their-key", 409, "not-managed"),
        ("Bad-Key", 400, "invalid-key-id"),
    ):
        answer = ask(world, "POST", f"/v1/keys/{key_id}/{what}")
        check_problem(answer, status, code)
    assert world.store.changes == []


def test_times_are_in_utc(world: World) -> None:
    """Whatever the machine's zone is."""
    world.create("app-key")
    created = datetime.fromisoformat(ask(world, "GET", "/v1/keys/app-key").document["created"])
    assert created.tzinfo is not None
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=5)
