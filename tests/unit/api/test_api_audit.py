"""The audit log over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from daena_kms.objects.base import Entry
from daena_kms.operations import Operations
from daena_kms.rules.durations import format_time

from tests.unit.api.asking import ARN, ask, check_problem
from tests.unit.engine.engines import World


def entries(world: World, query: str = "") -> list[dict[str, Any]]:
    """Read all pages."""
    found: list[dict[str, Any]] = []
    address = f"/v1/audit?{query}"
    answer = ask(world, "GET", address)
    while True:
        assert answer.status == 200, answer.document
        found += answer.document["entries"]
        if "next" not in answer.document:
            return found
        answer = ask(world, "GET", f"{address}&after={answer.document['next']}")


def filled(world: World) -> None:
    """Make keys over several hours."""
    now = datetime.now(UTC)
    for hours in range(5, 0, -1):
        then = now - timedelta(hours=hours)
        operations = Operations(world.adapter, world.log, now=then, principal=f"hour {hours}")
        operations.create(f"key-{hours}")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_hold_every_entry_once(world: World, limit: int) -> None:
    """In the log's order, whatever their size."""
    filled(world)
    found = entries(world, f"limit={limit}")
    assert [row["key"] for row in found] == [f"key-{hours}" for hours in (5, 4, 3, 2, 1)]
    assert found[0]["principal"] == "hour 5"
    assert {row["result"] for row in found} == {"done"}


def test_entries_by_key_run_and_time(world: World) -> None:
    """Each narrows the list; a window's end is not in it."""
    filled(world)
    every = entries(world)
    assert [row["key"] for row in entries(world, "key=key-3")] == ["key-3"]
    run = every[1]["run"]
    assert [row["run"] for row in entries(world, f"run={run}")] == [run]
    since, until = every[2]["time"], every[4]["time"]
    named = entries(world, f"since={since}&until={until}")
    assert [row["key"] for row in named] == ["key-3", "key-2"]
    assert entries(world, f"since={format_time(datetime.now(UTC) + timedelta(days=2))}") == []


def test_a_page_reads_no_more_than_it_needs(world: World) -> None:
    """What lies before and after stays unread."""
    filled(world)
    reads: list[str] = []
    get = world.objects.get
    world.objects.get = lambda name: (reads.append(name), get(name))[1]  # type: ignore[method-assign, func-returns-value] # a spy
    ask(world, "GET", "/v1/audit?limit=1")
    assert len(reads) <= 3


def test_a_page_that_has_no_time_ends_early_and_goes_on(world: World) -> None:
    """One object at least is read each time, so that reading comes to an end."""
    filled(world)
    found: list[str] = []
    address = "/v1/audit"
    for _ in range(100):
        document = ask(world, "GET", address, deadline=0).document
        found += [row["key"] for row in document["entries"]]
        if "next" not in document:
            break
        address = f"/v1/audit?after={document['next']}"
    assert found == [f"key-{hours}" for hours in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("key=Bad_Key", "invalid-key-id"),
        ("since=yesterday", "bad-request"),
        ("until=2026-02-30T00:00:00Z", "bad-request"),
        ("after=here", "bad-request"),
        ("after=../../etc/passwd", "bad-request"),
        ("limit=0", "bad-request"),
        ("run=x", "bad-request"),
        ("run=", "bad-request"),
        ("principal=x", "bad-request"),
    ],
)
def test_what_can_t_be_asked_for(world: World, query: str, code: str) -> None:
    """Names what is wrong."""
    check_problem(ask(world, "GET", f"/v1/audit?{query}"), 400, code)


def test_a_log_that_holds_nonsense(world: World) -> None:
    """Is not told as if it were whole: the object is named, and all others are shown."""
    filled(world)
    name = sorted(world.objects.stored)[1]
    world.objects.stored[name] = b"{}"
    answer = ask(world, "GET", "/v1/audit")
    assert [row["key"] for row in answer.document["entries"]] == [f"key-{n}" for n in (4, 3, 2, 1)]
    assert name in answer.document["note"]
    assert "audit verify" in answer.document["note"]
    del world.objects.stored[name]
    assert "note" not in ask(world, "GET", "/v1/audit").document


def test_the_log_is_verified(world: World) -> None:
    """Against itself and the store, like on the command line."""
    filled(world)
    report = ask(world, "GET", "/v1/audit/verify").document
    assert (report["ok"], report["runs"], len(report["versions"])) == (True, 5, 5)
    assert ask(world, "GET", f"/v1/audit/verify?since={report['newest']}").document["ok"] is True
    world.adapter.rotate_key("key-1")
    report = ask(world, "GET", "/v1/audit/verify").document
    assert report["ok"] is False
    assert {v["status"] for v in report["versions"]} == {"confirmed", "out-of-band"}


@pytest.mark.parametrize("since", ["x", "log/x@sha256:0", ""])
def test_an_anchor_that_is_none(world: World, since: str) -> None:
    """Says what one looks like."""
    problem = check_problem(
        ask(world, "GET", f"/v1/audit/verify?since={since}"), 400, "bad-request"
    )
    assert "name@sha256" in problem["todo"]


def test_a_log_too_long_for_an_answer(world: World) -> None:
    """Is not half verified: the answer says which command does it."""
    filled(world)
    problem = check_problem(ask(world, "GET", "/v1/audit/verify", deadline=0), 503, "out-of-time")
    assert "audit verify" in problem["todo"]


def test_every_entry_says_who(world: World) -> None:
    """The verified caller, for what was done over HTTP."""
    world.create("app-key")
    ask(world, "POST", "/v1/keys/app-key/rotate", {"reason": "leaked"})
    found = {row["kind"]: row for row in entries(world, "key=app-key")}["rotate"]
    assert (found["principal"], found["trigger"], found["reason"]) == (ARN, "http", "leaked")


@pytest.mark.parametrize("year", ["0001", "0999"])
def test_a_window_that_is_wider_than_the_calendar(world: World, year: str) -> None:
    """Begins and ends with the log."""
    filled(world)
    window = f"since={year}-01-01T00:00:00Z&until=9999-12-31T23:59:59Z"
    assert len(entries(world, window)) == 5
    assert entries(world, f"until={year}-01-01T00:00:00Z") == []


def test_a_run_that_is_not_there_is_looked_for_within_the_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours that hold nothing of it take time too: the page ends, and the next one goes on."""
    filled(world)
    listed: list[str] = []
    names = world.objects.entries

    def note(prefix: str) -> list[Entry]:
        listed.append(prefix)
        return names(prefix)

    monkeypatch.setattr(world.objects, "entries", note)
    address = f"/v1/audit?run={'0' * 32}"
    answer = ask(world, "GET", address, deadline=0.0)
    pages = 1
    while "next" in answer.document:
        after = answer.document["next"]
        answer = ask(world, "GET", f"{address}&after={after}", deadline=0.0)
        assert (answer.status, answer.document["entries"]) == (200, [])
        pages += 1
    assert pages >= 5
    assert len(listed) == len(set(listed))
