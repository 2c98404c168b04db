"""Records may add to what a run looks for; only a look at the store ends it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.records import Context, digest
from daena_kms.audit.verify import verify
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import StoreUnavailable
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key

from tests.unit.engine.engines import World
from tests.unit.forgers import HOUR, NOBODY, Forger, named
from tests.unit.logs import edited

KEY = "app-key"
DAY = timedelta(days=1)
CONTEXT = Context("local", "schedule", "someone", None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world with one key, which was created two hours ago by its log."""
    made = World(tmp_path)
    made.objects.clock = lambda: datetime.now(UTC)
    made.create(KEY)
    yield made
    made.store.close()


def leaked(world: World, after: timedelta = HOUR) -> str:
    """Rotate in an emergency whose retirement gets no answer, and return the leaked version."""
    old = world.store.describe(KEY).current
    assert old is not None

    def silent(name: str, _key: str) -> None:
        if name == "retire":
            raise StoreUnavailable("no answer", key_id=KEY)

    world.store.before = silent
    summary = world.run(after, keys=[KEY], compromised=True, reason="it leaked")
    world.store.before = lambda _name, _key: None
    assert summary.unrevoked == {KEY: [old.id]}
    return old.id


def closing_of(world: World, run_id: str | None) -> str:
    """Return the name of a run's closing record."""
    return next(n for n in world.objects.stored if f"/{run_id}/999999" in n)


def newest(world: World) -> str:
    """Return the name of the closing record that was written last."""
    return [name for name in world.objects.stored if name.endswith("999999.json")][-1]


def forger(world: World, after: timedelta) -> Forger:
    """Return somebody who adds to the log at that time."""
    return Forger(world.objects, datetime.now(UTC) + after, KEY)


def silent_about_all(world: World, after: timedelta) -> None:
    """Say that every closing record was seen, and nothing is unresolved."""
    names = [name for name in world.objects.stored if name.endswith("999999.json")]
    saw = {name: digest(world.objects.stored[name]) for name in names}
    forger(world, after).closing(saw=saw)


def silent_about_the_last(world: World, after: timedelta) -> None:
    """The same, about the newest one alone."""
    name = newest(world)
    forger(world, after).closing(saw={name: digest(world.objects.stored[name])})


def empty(world: World, after: timedelta) -> None:
    """Say nothing at all."""
    forger(world, after).closing()


def often(world: World, after: timedelta) -> None:
    """Say nothing at all, in each hour of a day."""
    for hours in range(20):
        forger(world, after + HOUR * hours).closing()


@pytest.mark.parametrize("ahead", [0, 1, 3, 20, 200])
@pytest.mark.parametrize("forge", [silent_about_all, silent_about_the_last, empty, often])
def test_no_closing_record_ends_a_pending_revocation(
    world: World, forge: Callable[[World, timedelta], None], ahead: int
) -> None:
    """Whatever it leaves out, and however long after the honest one it is dated."""
    version = leaked(world)
    forge(world, HOUR * (1 + ahead))
    summary = world.run(HOUR * (ahead + 30))
    assert summary.revoked_versions == {KEY: [version]}
    assert world.run(HOUR * (ahead + 31)).revoked == []


def test_a_revocation_that_was_given_up_stays_so(world: World) -> None:
    """A version that somebody made current again keeps its grace when it is rotated later."""
    current = world.store.describe(KEY).current
    assert current is not None
    clock = forger(world, HOUR)
    writer = RunWriter(world.objects, CONTEXT, lambda: clock.now)
    row = {"key": KEY, "kind": "retire", "base": current.id, "version": current.id}
    writer.intent([{**row, "compromised": True}])
    for hours in (1, 3, 4):
        assert world.run(HOUR * hours).revoked == []
    assert world.run(HOUR * 5, keys=[KEY]).rotated == [KEY]
    for hours in (6, 7, 20):
        assert world.run(HOUR * hours).revoked == []


def test_a_closing_record_in_a_run_that_crashed_hides_nothing(world: World) -> None:
    """It does not list what the run wrote."""
    base = world.store.describe(KEY).current_ref
    at = forger(world, HOUR)
    writer = RunWriter(world.objects, CONTEXT, lambda: at.now)
    writer.intent([{"key": KEY, "kind": "rotate", "base": base, "why": "due"}])
    made = world.adapter.rotate_key
    made(KEY)
    at.closing(writer.prefix)
    world.run(2 * HOUR)
    (row,) = (r for r in world.objects.results() if r.get("recovered"))
    assert (row["result"], row["of_run"]) == ("done", writer.prefix)


def crashed(world: World) -> tuple[str, str]:
    """Leave an emergency after its rotation, and return the leaked version and the run's folder."""
    old = world.store.describe(KEY).current
    assert old is not None
    at = forger(world, HOUR)
    writer = RunWriter(world.objects, CONTEXT, lambda: at.now)
    row = {"key": KEY, "kind": "retire", "base": old.id, "version": old.id, "compromised": True}
    writer.intent([{"key": KEY, "kind": "rotate", "base": old.id, "compromised": True}, row])
    world.adapter.rotate_key(KEY)
    return old.id, writer.prefix


def say_it_is_done(world: World, prefix: str) -> None:
    """Add to the run that its version was retired."""
    intent = world.objects.records("intent")[-1]
    (row,) = (a for a in intent["actions"] if a["kind"] == "retire")
    forger(world, HOUR).record("outcome", prefix, 1, results=[{**row, "result": "done"}])


def say_it_is_recovered(world: World, prefix: str) -> None:
    """Report the run as one that another run recovered."""
    hashes = [
        digest(data) for name, data in world.objects.stored.items() if name.startswith(prefix)
    ]
    forger(world, HOUR).closing(open={prefix: hashes})


def pass_on_by_another_intent(world: World) -> None:
    """Name the same action before the honest record does, by an intent that is not there."""
    (action,) = world.records("closing")[-1]["unresolved"]
    for minutes in (1, 2):
        forged = {**action, "intent": f"log/2026/03/01/12/{'0' * 32}/000000.json@{NOBODY}"}
        forger(world, HOUR + timedelta(minutes=minutes)).closing(unresolved=[forged])


@pytest.mark.parametrize("forge", [say_it_is_done, say_it_is_recovered])
def test_no_record_ends_the_revocation_of_a_run_that_crashed(
    world: World, forge: Callable[[World, str], None]
) -> None:
    """Nor an outcome in its name, nor a report of it."""
    version, prefix = crashed(world)
    forge(world, prefix)
    assert world.run(2 * HOUR).revoked_versions == {KEY: [version]}
    assert world.run(3 * HOUR).revoked == []


def test_the_same_action_by_another_intent_takes_no_place(world: World) -> None:
    """The one that an intent proves counts, whichever comes first."""
    version = leaked(world)
    pass_on_by_another_intent(world)
    for number in range(5):
        rows = [forger(world, HOUR).action(base=f"{number}-{n}") for n in range(200)]
        revoking = [{**row, "kind": "retire", "compromised": True} for row in rows]
        forger(world, HOUR + timedelta(minutes=number)).closing(unresolved=revoking)
    assert world.run(2 * HOUR).revoked_versions == {KEY: [version]}


def without_intent(_world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name none."""
    return action


def unknown_intent(_world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name one that is not there."""
    return {**action, "intent": f"log/2026/03/01/12/{'0' * 32}/000000.json@{NOBODY}"}


def other_hash(world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name one that is there by another hash."""
    intent = next(name for name in world.objects.stored if name.endswith("000000.json"))
    return {**action, "intent": f"{intent}@{NOBODY}"}


def other_action(world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name one that is there and intends something else."""
    intent = next(name for name in world.objects.stored if name.endswith("000000.json"))
    return {**action, "intent": named(world.objects, intent)}


def a_run_of_ours(world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name a run that intended something else, as older versions did."""
    prefix = newest(world)[: -len("999999.json")]
    return {**action, "of_run": prefix}


def no_intent(world: World, action: dict[str, Any]) -> dict[str, Any]:
    """Name an outcome."""
    name = next(name for name in world.objects.stored if name.endswith("000001.json"))
    return {**action, "intent": named(world.objects, name)}


@pytest.mark.parametrize(
    "claim",
    [without_intent, unknown_intent, other_hash, other_action, a_run_of_ours, no_intent],
)
def test_nobody_vouches_for_a_version_that_no_run_intended(
    world: World, claim: Callable[[World, dict[str, Any]], dict[str, Any]]
) -> None:
    """An unresolved action without the intent that proves it is passed over, and verify says so."""
    base = world.store.describe(KEY).current_ref
    world.adapter.rotate_key(KEY)
    after = forger(world, HOUR)
    action = claim(world, after.action(base=base))
    prefix = after.closing(unresolved=[action])
    for hours in (2, 3):
        world.run(HOUR * hours)
    report = verify(world.objects, world.store.inventory(), now=after.now + DAY)
    assert [f.status for f in report.findings].count("out-of-band") == 1
    assert {p.name for p in report.problems} == {f"{prefix}999999.json"}
    assert not any(row.get("recovered") for row in world.objects.results())


def test_a_forged_intent_still_explains(world: World) -> None:
    """Whoever can add a whole run can explain a version that they made themselves."""
    base = world.store.describe(KEY).current_ref
    world.adapter.rotate_key(KEY)
    after = forger(world, HOUR)
    prefix = after.folder()
    intended = after.action(base=base, why="due")
    after.record("intent", prefix, 0, actions=[intended])
    world.run(2 * HOUR)
    report = verify(world.objects, world.store.inventory(), now=after.now + DAY)
    assert "out-of-band" not in {f.status for f in report.findings}


@pytest.mark.parametrize("age", [timedelta(days=6), timedelta(days=8)])
@pytest.mark.parametrize("what", ["provider", "key", "version"])
def test_what_nothing_shows_for_a_week_is_gone(world: World, what: str, age: timedelta) -> None:
    """An action on another store, a key or a version that is not there is not kept for ever."""
    at = forger(world, HOUR)
    context = Context("elsewhere", "schedule", "someone", None) if what == "provider" else CONTEXT
    writer = RunWriter(world.objects, context, lambda: at.now)
    key_id = "no-key" if what == "key" else KEY
    row = {"key": key_id, "kind": "retire", "base": "b", "version": "v", "compromised": True}
    writer.intent([row])
    unresolved = {**row, "at": format_time(at.now), "provider": context.provider}
    intent = named(world.objects, f"{writer.prefix}000000.json")
    writer.close(read_tail(world.objects, at.now), [{**unresolved, "intent": intent}], {})
    world.run(HOUR + age)
    week = age > timedelta(days=7)
    results = [r["result"] for r in world.objects.results() if r.get("recovered")]
    assert results == (["gone"] if week else [])
    assert len(world.records("closing")[-1]["unresolved"]) == (not week)
    notes = [note for note in world.verify().notes if "no run looks any more" in note]
    assert len(notes) == week


@pytest.mark.parametrize("named_run", [False, True])
def test_an_older_version_s_revocation_is_honoured(world: World, *, named_run: bool) -> None:
    """Its closing records name no intent: it is found in the run, or in the hour."""
    version = leaked(world)
    name = newest(world)
    record = world.records("closing")[-1]
    (action,) = record["unresolved"]
    prefix = action.pop("intent").rpartition("/")[0] + "/"
    if named_run:
        action["of_run"] = prefix
    world.objects.stored[name] = edited(world.objects.stored[name], unresolved=[action])
    for hours in (26, 50, 74):
        # Older versions passed it on as it was.
        forger(world, HOUR * hours).closing(unresolved=[action])
    assert world.run(HOUR * 75).revoked_versions == {KEY: [version]}
    assert verify(world.objects, now=datetime.now(UTC) + HOUR * 76).ok


def test_who_lies_about_another_is_named_and_not_the_other(world: World) -> None:
    """A run that others saw as it is was not changed, whatever one record says."""
    first = newest(world)
    world.run(HOUR)
    at = forger(world, 2 * HOUR)
    writer = RunWriter(world.objects, CONTEXT, lambda: at.now)
    writer.intent([{"key": KEY, "kind": "hold", "base": None, "why": "asked for by name"}])
    world.run(HOUR * 3)
    liar = at.closing(saw={first: NOBODY}, open={writer.prefix: [NOBODY]})
    for hours in (4, 5):
        world.run(HOUR * hours)
    problems = verify(world.objects, now=at.now + DAY).problems
    assert {problem.name for problem in problems} == {f"{liar}999999.json"}
    for record in world.records("closing")[-2:]:
        assert record["open"].get(writer.prefix) == [
            digest(world.objects.stored[f"{writer.prefix}000000.json"])
        ]


def test_a_run_in_a_hurry_leaves_to_the_next_what_it_could_not_read(world: World) -> None:
    """It does not say that it saw a closing record whose unresolved actions it did not look up."""
    version = leaked(world)
    for number in range(40):
        forger(world, HOUR + timedelta(minutes=number)).closing()
    hurried = world.run(2 * HOUR, deadline=0)
    seen = world.records("closing")[-1]["saw"]
    assert hurried.revoked == []
    assert len(seen) < 40
    assert world.run(3 * HOUR).revoked_versions == {KEY: [version]}


EMOJI = "\N{GRINNING FACE}"


def test_an_action_that_fills_a_record_does_not_stop_runs(world: World) -> None:
    """What a run says of it would need more room than a record has."""
    put = forger(world, DAY * 91)
    actions = [{"key": "gone", "kind": "enrol", "why": "", "versions": [EMOJI * 80] * 1000}]
    data = put.record("intent", put.folder(), 0, actions=actions)
    assert len(data) > 900_000
    assert world.run(DAY * 91).rotated == [KEY]
    assert world.run(DAY * 92).ok


@pytest.mark.parametrize("tag", ["keep", "tpyo", "spec"])
def test_no_tag_keeps_a_leaked_value_readable(world: World, tag: str) -> None:
    """The revocation is made, and the key is reported all the same."""
    version = leaked(world)
    world.store.tag(world.store.describe(KEY), {f"daena.{tag}": "password:length=12:x"})
    summary = world.run(HOUR * 2)
    assert summary.revoked_versions == {KEY: [version]}
    assert summary.failed == [KEY]


def test_actions_of_another_store_take_no_honest_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closing record passes on so many, and those of its own store first."""
    world.store.lose_answer(KEY)
    world.run(HOUR, keys=[KEY])
    put = forger(world, HOUR)
    actions = [
        {"key": "aa", "kind": "retire", "version": f"v{n}", "compromised": True} for n in range(200)
    ]
    put.record("intent", put.folder(), 0, provider="other", actions=actions)

    def down(key_id: str, **_: object) -> Key:
        raise StoreUnavailable("down", key_id=key_id)

    monkeypatch.setattr(world.store, "describe", down)
    world.run(HOUR)
    passed_on = world.records("closing")[-1]["unresolved"]
    assert len(passed_on) == 200
    assert any(action["key"] == KEY for action in passed_on)
