"""Changes of policies through the audit log: on the local store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.records import CLOSING, INTENT, OUTCOME
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.engine.policies import show_policy
from daena_kms.errors import (
    AuditUnavailable,
    ConfigError,
    DaenaKMSError,
    InvalidKeyId,
    KeyNotFound,
    NotManaged,
    Paused,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.kms import KeyManagementService
from daena_kms.operations import Operations
from daena_kms.rules.model import Key
from daena_kms.rules.policy import Defaults

from tests.unit.keys import DAY, HOUR, NOW
from tests.unit.local_keys import local, reading, retag
from tests.worlds.memory import MemoryObjects

WEAK = "password:length=12:classes=digit"
TOKEN = {"daena.managed": "true", "daena.spec": "token"}


class Crash(BaseException):
    """The end of a process, as far as an operation can tell."""


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """A store with a managed token, one on hold, one that is deleted, and one of others."""
    made = local(tmp_path / "home")
    made.store.create("k", "x" * 43, TOKEN, NOW)
    made.store.create("held", "x" * 43, {**TOKEN, "daena.hold": "true"}, NOW)
    made.store.create("gone", "x" * 43, TOKEN, NOW)
    made.store.delete(made.store.describe("gone"), NOW)
    made.store.create("theirs", "x" * 43, {}, NOW)
    return made


@pytest.fixture
def log() -> MemoryObjects:
    """An empty log."""
    return MemoryObjects()


@pytest.fixture
def ops(adapter: LocalAdapter, log: MemoryObjects) -> Operations:
    """Operations an hour after NOW."""
    return Operations(adapter, log, now=NOW + HOUR, principal="alice", reason="ticket 7")


def tags(adapter: LocalAdapter, key_id: str = "k") -> dict[str, str]:
    """Return a key's tags."""
    return dict(adapter.store.describe(key_id).tags)


def patched(
    adapter: LocalAdapter, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]
) -> None:
    """Let something happen right after the intent, and before the look at the key."""
    store: Any = adapter.store
    describe, looks = store.describe, []

    def looked(key_id: str, *, exact: bool = False) -> Key:
        looks.append(key_id)
        if len(looks) == 2:
            monkeypatch.setattr(store, "describe", describe)
            change()
        found: Key = describe(key_id, exact=exact)
        return found

    monkeypatch.setattr(store, "describe", looked)


def test_a_change_is_in_the_log_with_the_old_and_the_new_policy(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """Before it and after it; the tags are as it says, and no version changes."""
    before = reading(adapter, "k")
    done = ops.set_policy("k", {"rotate_after": "30d", "grace": "48h"})
    intent, outcome, closing = log.records()
    assert [r["type"] for r in (intent, outcome, closing)] == [INTENT, OUTCOME, CLOSING]
    (action,) = intent["actions"]
    (row,) = outcome["results"]
    assert (action["key"], action["kind"], intent["reason"]) == ("k", "policy", "ticket 7")
    old = {"rotate_after": "90d", "grace": "7d", "destroy_after": "never", "keep": "2"}
    new = {**old, "rotate_after": "30d", "grace": "2d"}
    for entry in (action, row):
        assert (entry["old_spec"], entry["old_policy"]) == ("token", old)
        assert (entry["spec"], entry["policy"]) == ("token", new)
        assert entry["tags"] == {"daena.rotate-after": "30d", "daena.grace": "48h"}
        assert entry["old_tags"] == {"daena.rotate-after": None, "daena.grace": None}
    assert (row["result"], closing["counts"]["policy"]) == ("done", 1)
    assert tags(adapter) == {**TOKEN, "daena.rotate-after": "30d", "daena.grace": "48h"}
    assert done.to_dict()["changed"] == ["grace", "rotate_after"]
    assert reading(adapter, "k") == before
    assert verify(log, adapter.store.scan()).problems == []


def test_the_intent_is_durable_before_the_change(
    adapter: LocalAdapter, ops: Operations, log: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that takes none leaves the policy as it is."""

    def refuse(name: str, data: bytes) -> None:
        del data
        raise AuditUnavailable(f"{name} can't be written")

    monkeypatch.setattr(log, "put_new", refuse)
    with pytest.raises(AuditUnavailable):
        ops.set_policy("k", {"grace": "48h"})
    assert tags(adapter) == TOKEN


def test_a_field_is_removed(adapter: LocalAdapter, ops: Operations) -> None:
    """Then the default holds; what is not there need not be removed."""
    ops.set_policy("k", {"grace": "48h", "keep": 5, "first_due": "2027-01-01T00:00:00Z"})
    done = ops.set_policy("k", {"grace": None, "keep": None, "destroy_after": None})
    assert done.tags == {"daena.grace": None, "daena.keep": None}
    assert tags(adapter) == {**TOKEN, "daena.first-due": "2027-01-01T00:00:00Z"}


def test_what_changes_nothing_is_not_logged(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """The key has this policy already."""
    assert ops.set_policy("k", {"spec": "token", "grace": None}).tags == {}
    assert (log.stored, tags(adapter)) == ({}, TOKEN)


def test_a_hold_stays_as_it_is(adapter: LocalAdapter, ops: Operations) -> None:
    """A key on hold may be given another policy, and is still on hold."""
    ops.set_policy("held", {"grace": "48h"})
    assert tags(adapter, "held") == {**TOKEN, "daena.hold": "true", "daena.grace": "48h"}


@pytest.mark.parametrize(
    ("key_id", "changes", "error", "what"),
    [
        ("k", {"spec": WEAK}, ConfigError, "39.9 bits of entropy"),
        ("k", {"grace": "1h"}, ConfigError, "daena.grace is 1h"),
        ("k", {"grace": "never", "destroy_after": "9d"}, ConfigError, "but grace is never"),
        ("k", {"spec": "aes-256", "destroy_after": "9d"}, ConfigError, "but grace is never"),
        ("k", {"keep": 101}, ConfigError, "daena.keep is '101'"),
        ("k", {"hold": None}, ConfigError, "'hold' is not a field"),
        ("k", {"managed": "false"}, ConfigError, "'managed' is not a field"),
        ("k", {}, ConfigError, "no change of the policy"),
        ("theirs", {"grace": "48h"}, NotManaged, "does not carry daena.managed=true"),
        ("gone", {"grace": "48h"}, KeyNotFound, "it is deleted"),
        ("none", {"grace": "48h"}, KeyNotFound, "no such key"),
        ("K", {"grace": "48h"}, InvalidKeyId, "'K'"),
    ],
)
def test_what_is_refused_changes_and_logs_nothing(
    adapter: LocalAdapter,
    log: MemoryObjects,
    ops: Operations,
    key_id: str,
    changes: dict[str, object],
    error: type[DaenaKMSError],
    what: str,
) -> None:
    """A policy that would be refused, and a key that is not ours to change."""
    with pytest.raises(error, match=what) as refused:
        ops.set_policy(key_id, changes)
    assert refused.value.todo
    assert (log.stored, tags(adapter), tags(adapter, "theirs")) == ({}, TOKEN, {})


@pytest.mark.parametrize("changes", [{"spec": WEAK}, {"grace": "1h"}, {"x": "1"}, {}])
def test_what_is_malformed_is_refused_before_any_call(
    adapter: LocalAdapter, ops: Operations, monkeypatch: pytest.MonkeyPatch, changes: Any
) -> None:
    """Nothing of the key need be known for that."""
    for name in ("describe", "tag", "scan"):
        monkeypatch.setattr(adapter.store, name, None)
    with pytest.raises(ConfigError):
        ops.set_policy("k", changes)


def test_nothing_is_changed_while_changes_are_switched_off(
    adapter: LocalAdapter, ops: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill switch is for policies, too."""
    monkeypatch.setenv("DAENA_KMS_PAUSED", "true")
    with pytest.raises(Paused):
        ops.set_policy("k", {"grace": "48h"})
    assert tags(adapter) == TOKEN


@pytest.mark.parametrize(
    ("meanwhile", "left"),
    [
        ({"daena.grace": "3d"}, {"daena.grace": "3d"}),
        ({"daena.keep": "5"}, {"daena.keep": "5"}),
        ({"daena.managed": "false"}, {"daena.managed": "false"}),
    ],
)
def test_what_others_change_meanwhile_stays(
    adapter: LocalAdapter,
    log: MemoryObjects,
    ops: Operations,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: dict[str, str | None],
    left: dict[str, str],
) -> None:
    """The intent holds an old policy that is no longer there, so the change fails."""
    patched(adapter, monkeypatch, lambda: retag(adapter, "k", meanwhile))
    with pytest.raises((RotationConflict, NotManaged)):
        ops.set_policy("k", {"grace": "48h"})
    assert tags(adapter) == {**TOKEN, **left}
    _, outcome, _ = log.records()
    assert outcome["results"][0]["result"] == "failed"


def test_a_hold_that_comes_meanwhile_stays_too(
    adapter: LocalAdapter, ops: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no part of the policy."""
    patched(adapter, monkeypatch, lambda: retag(adapter, "k", {"daena.hold": "true"}))
    ops.set_policy("k", {"grace": "48h"})
    assert tags(adapter) == {**TOKEN, "daena.hold": "true", "daena.grace": "48h"}


def test_a_change_is_meant_for_a_version(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations
) -> None:
    """If another one is current, whoever asked should look again."""
    base = adapter.store.describe("k").current_ref
    adapter.rotate_key("k")
    with pytest.raises(RotationConflict, match="another version of it is current"):
        ops.set_policy("k", {"grace": "48h"}, base=base)
    assert (tags(adapter), log.stored) == (TOKEN, {})


@pytest.mark.parametrize(("applied", "result"), [(True, "done"), (False, "not-done")])
@pytest.mark.parametrize("how", ["crash", "no answer"])
def test_the_next_run_finds_out_what_became_of_a_change(
    adapter: LocalAdapter,
    log: MemoryObjects,
    ops: Operations,
    monkeypatch: pytest.MonkeyPatch,
    *,
    applied: bool,
    result: str,
    how: str,
) -> None:
    """By comparing the tags, and verify has nothing to note about it."""
    tag = adapter.store.tag

    def end(key: Key, wanted: Any) -> None:
        if applied:
            tag(key, wanted)
        if how == "crash":
            raise Crash
        raise StoreUnavailable("no answer", key_id=key.id)

    monkeypatch.setattr(adapter.store, "tag", end)
    with pytest.raises((Crash, StoreUnavailable)):
        ops.set_policy("k", {"rotate_after": "30d", "grace": None})
    monkeypatch.setattr(adapter.store, "tag", tag)
    run(adapter, log, now=NOW + 3 * HOUR, principal="scheduler")
    rows = [row for r in log.records() for row in r.get("results", ()) if row.get("recovered")]
    assert [(row["kind"], row["result"]) for row in rows] == [("policy", result)]
    run(adapter, log, now=NOW + 100 * DAY, principal="scheduler")
    assert not [note for note in verify(log).notes if "policy set" in note]


def test_a_change_past_the_log_is_noted(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """Between two rotations somebody tags the key: verify says from what to what."""
    run(adapter, log, now=NOW + 91 * DAY, principal="scheduler")
    retag(adapter, "k", {"daena.spec": "password", "daena.rotate-after": "30d"})
    run(adapter, log, now=NOW + 182 * DAY, principal="scheduler")
    notes = [note for note in verify(log).notes if "policy set" in note]
    assert len(notes) == 2
    assert notes[0].startswith("key k: its rotate-after changed from 90d to 30d between ")
    assert notes[1].startswith("key k: its spec changed from token to password between ")


def test_changes_through_the_log_are_not_noted(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """Created, rotated, given another policy, rotated, adopted: all of it is the log's own."""
    Operations(adapter, log, now=NOW, principal="alice").create("new", spec="token")
    Operations(adapter, log, now=NOW + 2 * HOUR, principal="alice").adopt("theirs", spec="token")
    run(adapter, log, now=NOW + 91 * DAY, principal="scheduler")
    for key_id in ("new", "theirs"):
        at = NOW + 92 * DAY
        Operations(adapter, log, now=at, principal="alice").set_policy(key_id, {"keep": 3})
    run(adapter, log, now=NOW + 400 * DAY, principal="scheduler")
    assert not [note for note in verify(log).notes if "policy set" in note]


def test_a_policy_is_shown_with_what_it_leads_to(adapter: LocalAdapter) -> None:
    """Fields and their sources, the bits, the due time, and the versions before."""
    retag(adapter, "k", {"daena.grace": "24h", "daena.destroy-after": "1h"})
    adapter.rotate_key("k")
    shown = show_policy(adapter, "k")
    assert shown["fields"]["grace"] == {"value": "1d", "source": "tag", "set_by": "daena.grace"}
    assert shown["fields"]["keep"] == {"value": "2", "source": "default", "set_by": None}
    assert (shown["bits"], shown["min_bits"], shown["hold"]) == (256.0, 112, "false")
    assert (shown["kept_for"], shown["error"]) == ("7d", None)
    oldest = shown["oldest_previous"]
    assert oldest["superseded"] < oldest["retired"] < oldest["destroyed"]
    assert oldest["why"].startswith("7d after it was superseded")
    assert shown["due"] > oldest["destroyed"]
    assert shown["next_destroyed"] is None
    json.dumps(shown)


def test_a_policy_that_is_refused_is_shown_with_the_reason(adapter: LocalAdapter) -> None:
    """And with the tags, which have to be mended."""
    retag(adapter, "k", {"daena.spec": WEAK})
    shown = show_policy(adapter, "k")
    assert (shown["fields"], shown["bits"], shown["due"]) == ({}, None, None)
    assert shown["error"]["error"] == "config-error"
    assert "39.9 bits" in shown["error"]["message"]
    assert shown["tags"]["daena.spec"] == WEAK


@pytest.mark.parametrize(
    ("key_id", "error"), [("theirs", NotManaged), ("gone", KeyNotFound), ("none", KeyNotFound)]
)
def test_only_managed_keys_have_a_policy(
    adapter: LocalAdapter, key_id: str, error: type[DaenaKMSError]
) -> None:
    """Nothing is said about other people's secrets."""
    with pytest.raises(error):
        show_policy(adapter, key_id)


def test_the_service_shows_and_sets_policies(
    adapter: LocalAdapter, log: MemoryObjects, tmp_path: Path
) -> None:
    """As the command line does."""
    service = KeyManagementService(
        "local", adapter=adapter, log=log, signing_key=tmp_path / "key", operator="alice"
    )
    changed = service.set_policy("k", {"keep": 4})
    assert (changed["old"]["keep"], changed["new"]["keep"]) == ("2", "4")
    assert service.show_policy("k")["fields"]["keep"]["value"] == "4"
    assert log.records()[0]["principal"] == "alice"


@pytest.mark.parametrize("spec", [WEAK, "password:length=17", "password:length=33:classes=digit"])
def test_no_value_is_generated_that_is_too_easy_to_guess(
    adapter: LocalAdapter, log: MemoryObjects, ops: Operations, spec: str
) -> None:
    """Created, adopted, rotated by a run, by name, in an emergency, or by the adapter: none is."""
    before = reading(adapter, "k")
    refusals: list[Callable[[], object]] = [
        lambda: ops.create("new", spec=spec),
        lambda: ops.create("new", "x" * 12, spec=spec),
        lambda: ops.adopt("theirs", spec=spec),
        lambda: adapter.create_key("new", spec=spec),
        lambda: adapter.new_material("new", {"daena.spec": spec}),
    ]
    for refused in refusals:
        with pytest.raises(ConfigError, match="DAENA_KMS_MIN_BITS asks for 112"):
            refused()
    assert log.stored == {}
    retag(adapter, "k", {"daena.spec": spec})
    with pytest.raises(ConfigError, match="DAENA_KMS_MIN_BITS"):
        adapter.rotate_key("k")
    later = NOW + 91 * DAY
    for options in ({}, {"keys": ["k"]}, {"keys": ["k"], "compromised": True}):
        done = run(adapter, log, now=later, reason="it leaked", principal="p", **options)
        assert (done.failed, done.new_versions) == (["k"], {})
        assert "DAENA_KMS_MIN_BITS" in str(done.errors["k"])
    assert reading(adapter, "k") == before
    adapter.defaults = Defaults(min_bits=30)
    assert run(adapter, log, now=later, principal="p").rotated == ["k"]


def test_an_intent_holds_the_policy_in_force(adapter: LocalAdapter, log: MemoryObjects) -> None:
    """Of what is rotated, retired and destroyed; the outcome does not repeat it."""
    retag(adapter, "k", {"daena.rotate-after": "10d", "daena.grace": "24h"})
    retag(adapter, "k", {"daena.destroy-after": "1h"})
    for day in (11, 22, 33):
        run(adapter, log, now=NOW + day * DAY, principal="scheduler")
    actions = [a for r in log.records() for a in r.get("actions", ())]
    assert {a["kind"] for a in actions} == {"rotate", "retire", "destroy"}
    policy = {"rotate_after": "10d", "grace": "1d", "destroy_after": "1h", "keep": "2"}
    assert all((a["spec"], a["policy"]) == ("token", policy) for a in actions)
    results = [row for r in log.records() for row in r.get("results", ())]
    assert not [row for row in results if "policy" in row]
