"""A store and its audit log that an older version left read, run and verify as they did then."""

import base64
import json
import os
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.reader import history
from daena_kms.audit.records import digest
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.kms import KeyManagementService
from daena_kms.objects.base import Objects
from daena_kms.rules import due
from daena_kms.rules.policy import Defaults

from tests.unit.old.make import LEAKED, Life, master_key, objects_in, seen, signing_key

HERE = Path(__file__).parent
SEEN: dict[str, Any] = json.loads((HERE / "seen.json").read_text())
OBJECTS = [json.loads(line) for line in (HERE / "audit.jsonl").read_text().splitlines()]
#: What the older version wrote for people, and what is written in its place today.
REWORDED = {
    "due since": "overdue by",
    "an earlier rotation of it was interrupted": "an earlier rotation was interrupted",
    "compromised, and readable still: its retirement was begun or failed": (
        "compromised and still readable: its revocation is pending"
    ),
    "is retired: marked retired in": "is retired: it is marked retired in",
    '"means": "marked retired in': '"means": "it is marked retired in',
    "its value stays there, sealed; readable still: by nobody": (
        "its value stays there, encrypted. Who can still read it: nobody"
    ),
    "its value stays there, sealed": "its value stays there, encrypted",
    "readers of that version's id, and of previous where it was that, at once": (
        "reading it by its id, and as previous if it was the previous version"
    ),
    (
        "no command does; with sqlite3, set its state in the table versions of keys.db to "
        "previous, and retired to NULL"
    ): (
        "no command does this; in Python, LocalAdapter().store.readmit(key, version) makes it a "
        "previous version again"
    ),
    "interrupted, or running;": "the run was interrupted, or is still running;",
}


#: The members of actions and results that the older version did not write.
ADDED = {"spec", "policy"}


class _AsThen(Defaults):
    """The policy of a deployment whose tags alone could destroy a version within a week."""

    kept_for = timedelta()


@pytest.fixture(autouse=True)
def _the_master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAENA_KMS_MASTER_KEY", master_key())


@pytest.fixture
def adapter(tmp_path: Path) -> LocalAdapter:
    """Give the store."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        connection.executescript((HERE / "store.sql").read_text())
    return LocalAdapter(home)


@pytest.fixture
def log(tmp_path: Path) -> Objects:
    """Give the log, each object as old as the record in it."""
    root = tmp_path / "audit"
    for entry in OBJECTS:
        path = root / entry["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry["text"])
        written = datetime.fromisoformat(entry["time"]).timestamp()
        os.utime(path, (written, written))
    return open_log(root.as_uri())


def test_it_is_seen_and_run_as_by_the_version_that_made_it(
    adapter: LocalAdapter, log: Objects
) -> None:
    """Keys, history, findings, the plan, and a later run, which retires what was leaked."""
    found = json.loads(json.dumps(seen(adapter, log)))
    for part, then in SEEN.items():
        # The history is read from the log, which stays as it was written.
        expected = then if part == "history" else json.loads(_reworded(json.dumps(then)))
        assert found[part] == expected, part
    assert found["verified"]["ok"]
    assert found["verified_after"]["ok"]
    assert found["run"]["revoked"] == [LEAKED]


def test_what_the_fixture_holds() -> None:
    """A rotation, a finish after a crash, a retirement, …: it can't shrink unnoticed."""
    rows = {(row["key"], row["kind"], row["result"]) for row in SEEN["history"]}
    assert rows >= {
        ("data-key", "rotate", "done"),
        ("data-key", "rollback", "done"),
        ("interrupted-key", "finish", "done"),
        ("unrecorded-key", "rotate", "done"),
        ("session-token", "retire", "done"),
        ("session-token", "destroy", "done"),
        (LEAKED, "retire", "unknown"),
        ("brought-key", "rollback", "done"),
        ("elsewhere-key", "record", "done"),
        ("deleted-key", "delete", "done"),
        ("held-key", "hold", "done"),
    }
    (left,) = json.loads(OBJECTS[-1]["text"])["unresolved"]
    assert (left["key"], left["kind"], left["compromised"]) == (LEAKED, "retire", True)


def test_every_value_that_may_be_read_opens(adapter: LocalAdapter) -> None:
    """Current and previous ones, and one that was rolled back to is the same value again."""
    for key in adapter.store.scan():
        for version in key.versions:
            if version.state.value in {"current", "previous"}:
                assert adapter.get_key(key.id, version.id)
    first = min(v.id for v in adapter.store.describe("data-key").versions)
    # Compared here, so that a failure prints no value.
    assert (adapter.get_key("data-key") == adapter.get_key("data-key", first)) is True


def test_its_manifests_verify(adapter: LocalAdapter, log: Objects) -> None:
    """The chain is whole, agrees with the log, and each attests the value that is stored."""
    service = KeyManagementService("local", adapter=adapter, log=log, signing_key=signing_key())
    report = service.verify_chain()
    assert (report.ok, report.problems, report.notes, report.manifests) == (True, [], [], 4)
    for manifest in service.iter_manifests():
        if manifest.key_id == "brought-key":
            value = adapter.get_key(manifest.key_id, manifest.version)
            assert service.matches(manifest, value)


def test_the_chain_grows_on(adapter: LocalAdapter, log: Objects) -> None:
    """A manifest of today stands on the last one of then."""
    service = KeyManagementService("local", adapter=adapter, log=log, signing_key=signing_key())
    service.record_rotation(base64.b64encode(os.urandom(24)).decode(), "brought-key")
    assert service.verify_chain().ok
    assert verify(log, adapter.store.scan()).ok


def test_the_same_life_leaves_the_same_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record for record and member for member, ids, hashes and fractions of a second apart.

    The older version rotated no key before its due time, and one run comes a minute before it.
    """
    monkeypatch.setattr(due, "_EARLY_MOST", timedelta())
    life = Life(tmp_path / "home", tmp_path / "audit")
    life.adapter.defaults = _AsThen()
    life.live()
    assert _comparable(objects_in(tmp_path / "audit")) == _comparable(OBJECTS)
    assert [_kinds(row) for row in history(life.log)] == [_kinds(row) for row in SEEN["history"]]


def _reworded(text: str) -> str:
    for then, now in REWORDED.items():
        text = text.replace(then, now)
    return text


def _kinds(row: dict[str, Any]) -> tuple[str, ...]:
    return row["key"], row["kind"], row["result"]


def _without_added(record: dict[str, Any]) -> None:
    for added in ("generation", "generation_proof"):
        record.get("counts", {}).pop(added, None)
    for row in (*record.get("actions", ()), *record.get("results", ())):
        for member in ADDED:
            row.pop(member, None)


def _place(entry: dict[str, str]) -> tuple[str, int, str]:
    """Return where an object comes: a manifest has a clock of its own, and comes second in its run.

    No two runs lie in one minute but a crash and what comes after it, which have no manifests.
    """
    rank = 1 if entry["name"].startswith("manifests/") else 2
    rank = 0 if entry["name"].endswith("/000000.json") else rank
    minute = entry["time"][:16]
    return minute, rank, datetime.fromisoformat(entry["time"]).isoformat(timespec="microseconds")


def _comparable(objects: list[dict[str, str]]) -> list[Any]:
    """Return the records with names for what no two runs have in common, in order of appearance."""
    objects = sorted(objects, key=_place)
    names: dict[str, str] = {}
    for number, entry in enumerate(objects):
        names[digest(entry["text"].encode())] = f"hash of object {number}"
    random = re.compile(r"sha256:[0-9a-f]{64}|\b[0-9a-f]{32}\b|daena-\d{8}T\d{6}Z-[0-9a-f-]+")

    def named(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"id {len(names)}")

    found = []
    for entry in objects:
        record = json.loads(entry["text"])
        _without_added(record)
        if "manifest_id" in record:
            # Its members are values of their own: hashes of hashes, and a signature.
            found.append([entry["name"], sorted(record), record["kind"], record["metadata"]])
            continue
        # In the order of the records' members; what lies in an object has none.
        written = json.dumps(record, sort_keys=True, separators=(",", ":"))
        text = random.sub(named, entry["name"] + written)
        text = _reworded(re.sub(r"(T\d\d:\d\d):\d\d(\.\d+)?Z", r"\1Z", text))
        name, _, rest = text.partition(".json")
        record = json.loads(rest)
        # An action that is passed on names its intent today, and is copied from there.
        for row in record.get("results", ()):
            for member in ("intent", "of_run", "started") if "at" in row else ():
                row.pop(member, None)
        for row in record.get("unresolved", ()):
            for member in ("intent", "of_run", "started", "ended", "result", "error", "message"):
                row.pop(member, None)
        found.append([name, record])
    return found
