"""``If-Match``: a request that is delivered more than once does its work once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from daena_kms.api.messages import Response, etag

from tests.unit.api.asking import ask, check_problem
from tests.unit.engine.engines import World


def version(world: World) -> str:
    """The current version's id."""
    current = world.store.describe("app-key").current
    assert current is not None
    return current.id


def post(world: World, what: str, match: str, body: Any = None) -> Response:
    """Change the key if it is as the tag says."""
    return ask(world, "POST", f"/v1/keys/app-key/{what}", body, headers={"if-match": match})


@pytest.mark.parametrize("what", ["rotate", "rollback"])
def test_the_second_delivery_changes_nothing(world: World, what: str) -> None:
    """It is answered with the version that is current by now, and nothing is logged."""
    world.create("app-key")
    world.adapter.rotate_key("app-key")
    tag = ask(world, "GET", "/v1/keys/app-key").headers["etag"]

    first = post(world, what, tag)
    puts = world.log.puts
    again = post(world, what, tag)

    assert first.status == 200
    problem = check_problem(again, 412, "key-moved")
    assert problem["current"] == first.document["version"] == version(world)
    assert again.headers["etag"] == first.headers["etag"] == etag(version(world))
    assert (world.count("app-key"), world.log.puts) == (3, puts)


@pytest.mark.parametrize("what", ["hold", "release"])
def test_a_hold_is_meant_for_a_version_too(world: World, what: str) -> None:
    """If the key has moved on, whoever asks should look again."""
    world.create("app-key")
    tag = ask(world, "GET", "/v1/keys/app-key").headers["etag"]
    assert post(world, what, tag).status == 200
    ask(world, "POST", "/v1/keys/app-key/release")
    world.adapter.rotate_key("app-key")
    check_problem(post(world, what, tag), 412, "key-moved")


def test_five_hundred_deliveries_at_once_make_one_version(world: World) -> None:
    """One is done; each of the others says that the key has moved, or is being rotated."""
    world.create("app-key")
    tag = etag(version(world))

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(world, "rotate", tag), range(500)))

    done = [answer for answer in answers if answer.status == 200]
    others = {answer.status for answer in answers} - {200}
    assert len(done) == 1
    assert others == {412}
    assert world.count("app-key") == 2
    assert done[0].document["version"] == version(world)


def test_a_race_that_is_lost_after_the_look_is_a_412(world: World) -> None:
    """Somebody rotates between our look and our change."""
    world.create("app-key")
    tag = etag(version(world))

    def meddle(_name: str, _key: str) -> None:
        world.store.before = lambda _name, _key: None
        world.adapter.rotate_key("app-key")

    for what in ("rotate", "rollback"):
        if what == "rollback":
            tag = etag(version(world))
        world.store.before = meddle
        problem = check_problem(post(world, what, tag), 412, "key-moved")
        assert problem["current"] == version(world)
        world.store.before = meddle
        check_problem(ask(world, "POST", f"/v1/keys/app-key/{what}"), 409, "rotation-conflict")


@pytest.mark.parametrize("what", ["hold", "release"])
def test_a_key_that_moves_before_it_is_held_is_a_412(world: World, what: str) -> None:
    """The log takes its time, and the tag names the version that was looked at."""
    world.create("app-key")
    tag, before = etag(version(world)), world.store.describe("app-key").tags
    record = world.log.put_new

    def meddle(name: str, data: bytes) -> None:
        world.log.put_new = record  # type: ignore[method-assign] # once
        world.adapter.rotate_key("app-key")
        record(name, data)

    world.log.put_new = meddle  # type: ignore[method-assign] # as above
    check_problem(post(world, what, tag), 412, "key-moved")
    assert world.store.describe("app-key").tags == before


@pytest.mark.parametrize(
    "match",
    ["*", '"other", {}', "  {}  ", '{},"other"', 'W/"x", {}'],
)
def test_what_matches(world: World, match: str) -> None:
    """Any version, or one of several."""
    world.create("app-key")
    tag = etag(version(world))
    assert post(world, "rotate", match.replace("{}", tag)).status == 200


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ('"other"', 412),
        ('""', 412),
        ("W/{}", 412),
        ("{bare}", 400),
        ("", 400),
        ('"', 400),
        ('"a" "b"', 400),
        (",", 400),
        ('"a",', 400),
        ('"\n"', 400),
    ],
)
def test_what_does_not_match(world: World, match: str, status: int) -> None:
    """Another version, a weak tag, or what is no tag; nothing changes."""
    world.create("app-key")
    tag = etag(version(world))
    given = match.replace("{bare}", version(world)).replace("{}", tag)
    code = {412: "key-moved", 400: "bad-request"}[status]
    check_problem(post(world, "rotate", given), status, code)
    assert world.store.changes == []


def test_a_tag_holds_whatever_an_id_may() -> None:
    """Quotes and spaces of others' version ids are escaped, and the tag is one of RFC 9110."""
    assert etag('a"b c\\d') == '"a%22b%20c%5Cd"'
    assert etag("daena-20260101T000000Z-0123456789") == '"daena-20260101T000000Z-0123456789"'
