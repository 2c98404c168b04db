"""Runs over HTTP, and what is left when an answer may take no longer."""

from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.operations import Operations

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World


def due(world: World, *key_ids: str) -> None:
    """Make keys that are due."""
    then = datetime.now(UTC) - timedelta(days=91)
    for key_id in key_ids:
        Operations(world.adapter, world.log, now=then).create(key_id)


def test_a_run_does_what_is_due(world: World) -> None:
    """And answers what it did; the log says who asked and why."""
    due(world, "old-key", "older-key")
    world.create("fresh-key")
    answer = ask(world, "POST", "/v1/runs", {"reason": "audit tomorrow"})
    assert (answer.status, answer.document["rotated"]) == (200, ["old-key", "older-key"])
    closing = world.records("closing")[-1]
    assert (closing["run"], closing["principal"], closing["reason"]) == (
        answer.document["run"],
        ARN,
        "audit tomorrow",
    )
    assert ask(world, "POST", "/v1/runs").document["rotated"] == []


def test_a_dry_run_changes_nothing(world: World) -> None:
    """It says what is overdue."""
    due(world, "old-key")
    puts = world.log.puts
    answer = ask(world, "POST", "/v1/runs", {"dry_run": True})
    assert (answer.document["run"], answer.document["counts"]["overdue"]) == (None, 1)
    assert (world.store.changes, world.log.puts) == ([], puts)


@pytest.mark.parametrize("dry_run", [1, "true", None, []])
def test_dry_run_is_a_flag(world: World, dry_run: object) -> None:
    """Anything else is refused: nobody wants the run that he believed to be dry."""
    due(world, "old-key")
    check_problem(ask(world, "POST", "/v1/runs", {"dry_run": dry_run}), 400, "bad-request")
    assert world.store.changes == []


def test_a_run_that_has_no_time_says_what_is_left(world: World) -> None:
    """At a clean point: nothing is half done, and the next run takes it up."""
    due(world, "old-key", "older-key")
    answer = ask(world, "POST", "/v1/runs", deadline=0)
    assert (answer.status, answer.document["left"]) == (200, ["old-key", "older-key"])
    assert world.store.changes == []
    assert ask(world, "POST", "/v1/runs").document["rotated"] == ["old-key", "older-key"]


def test_a_key_that_fails_is_named_with_its_error(world: World) -> None:
    """The others are done."""
    due(world, "old-key", "bad-key")
    world.store.tag(world.store.describe("bad-key"), {"daena.keep": "0"})
    document = ask(world, "POST", "/v1/runs").document
    assert (document["ok"], document["rotated"], document["failed"]) == (
        False,
        ["old-key"],
        ["bad-key"],
    )
    assert document["errors"]["bad-key"]["error"] == "config-error"
