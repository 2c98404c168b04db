"""A store that is a file and was put back to an older copy is noticed by its log."""

import json
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.generation import claimed, newest
from daena_kms.audit.records import encode
from daena_kms.audit.verify import verify
from daena_kms.cli.app import app
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.engine import run
from daena_kms.engine.generation import older
from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.operations import Operations
from daena_kms.stores.local.store import LocalStore
from typer.testing import CliRunner

from tests.unit.keys import DAY

START = datetime.now(UTC) - 200 * DAY


class Life:
    """A local store with its log, and copies of the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.log = open_log((folder / "log").as_uri())

    @property
    def adapter(self) -> LocalAdapter:
        """The store, opened anew as by another process."""
        return LocalAdapter(self.home)

    @property
    def ops(self) -> Operations:
        """The audited operations."""
        return Operations(self.adapter, self.log, now=START, principal="me")

    def run(self) -> None:
        """Run the engine, much later."""
        run(self.adapter, self.log, now=START + 95 * DAY, principal="me")

    def copy(self, name: str) -> None:
        """Keep a copy of the store."""
        shutil.copytree(self.home, self.folder / name)

    def put_back(self, name: str) -> None:
        """Replace the store by a copy."""
        shutil.rmtree(self.home)
        shutil.copytree(self.folder / name, self.home)

    def closings(self) -> list[dict[str, Any]]:
        """Return the closing records."""
        names = [e.name for e in self.log.entries("log/") if e.name.endswith("999999.json")]
        return [json.loads(self.log.get(name) or b"") for name in names]

    def problems(self) -> list[str]:
        """Return what the verification finds wrong."""
        store = self.adapter.store
        report = verify(self.log, store.inventory(), older=lambda counts: older(store, counts))
        return [problem.what for problem in report.problems]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A store of one key, and a copy of it."""
    made = Life(tmp_path)
    made.ops.create("k", spec="token")
    made.copy("copy")
    return made


CHANGES: dict[str, Callable[[Life], object]] = {
    "a run": lambda life: life.run(),
    "create": lambda life: life.ops.create("other"),
    "hold": lambda life: life.ops.hold("k"),
    "delete": lambda life: life.ops.delete("k"),
}
USES: dict[str, Callable[[Life], object]] = {
    **CHANGES,
    "release": lambda life: life.ops.release("k"),
    "rotate": lambda life: run(life.adapter, life.log, keys=["k"], principal="me"),
}


@pytest.mark.parametrize(
    ("change", "use"),
    [*((change, "a run") for change in CHANGES), *(("hold", use) for use in USES)],
)
def test_an_older_copy_is_refused(life: Life, change: str, use: str) -> None:
    """Whatever was changed since, and whatever is to be done: nothing is, and verify says so."""
    CHANGES[change](life)
    assert life.problems() == []
    life.put_back("copy")
    before = (life.home / "keys.db").read_bytes()
    with pytest.raises(ConfigError, match="is older than the audit log: it has change") as refused:
        USES[use](life)
    assert "Put the newest copy back" in str(refused.value)
    assert "DAENA_KMS_AUDIT_URL to a new log" in str(refused.value)
    assert (life.home / "keys.db").read_bytes() == before
    assert any("is older than the audit log" in what for what in life.problems())


def test_the_way_out_works(life: Life, tmp_path: Path) -> None:
    """With a new log the copy goes on, and with the newest copy the old log does."""
    life.ops.hold("k")
    life.copy("newest")
    life.put_back("copy")
    old = life.log
    life.log = open_log((tmp_path / "new").as_uri())
    life.ops.hold("k")
    life.put_back("newest")
    life.log = old
    life.ops.release("k")
    assert life.problems() == []


def test_a_copy_of_now_is_the_store(life: Life) -> None:
    """A backup that missed nothing is as good."""
    life.run()
    life.copy("now")
    life.put_back("now")
    life.run()
    assert life.problems() == []


def test_each_closing_record_notes_the_generation(life: Life) -> None:
    """It grows with each change, and a run that changes nothing notes the same."""
    for _ in range(2):
        life.run()
    life.ops.hold("k")
    noted = [claimed(record["counts"]) for record in life.closings()]
    generations = [claim[0] for claim in noted if claim is not None]
    assert sorted(generations) == [2, 3, 3, 4]


def forge(life: Life, **counts: object) -> None:
    """Add a closing record as somebody may who may add to the log."""
    honest = life.closings()[-1]
    run_id = secrets.token_hex(16)
    hour = datetime.now(UTC).strftime("%Y/%m/%d/%H")
    record = {**honest, "run": run_id, "objects": [], "prev_hash": None, "counts": counts}
    record["time"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    life.log.put_new(f"log/{hour}/{run_id}/999999.json", encode(record))


@pytest.mark.parametrize(
    "counts",
    [
        {"generation": 10**6, "generation_proof": 0},
        {"generation": 10**6, "generation_proof": -1},
        {"generation": 10**30, "generation_proof": 10**30},
        {"generation": 10**6},
        {"generation": "many", "generation_proof": []},
        {"generation": True, "generation_proof": True},
        {"generation": -5, "generation_proof": 0.5},
    ],
)
def test_a_forged_number_makes_no_store_look_old(life: Life, counts: dict[str, object]) -> None:
    """Without the master key nobody can make its code, and runs go on."""
    forge(life, **counts)
    life.run()
    life.ops.create("other")
    assert not any("is older" in what for what in life.problems())


def test_a_number_of_another_store_says_nothing(life: Life, tmp_path: Path) -> None:
    """The code is of one store, even if two share a master key."""
    other = Life(tmp_path / "other")
    other.home.mkdir(parents=True, mode=0o700)
    shutil.copy(life.home / "master.key", other.home / "master.key")
    for n in range(5):
        other.ops.create(f"k-{n}")
    (claim,) = [c for r in other.closings()[-1:] if (c := claimed(r["counts"]))]
    forge(life, generation=claim[0], generation_proof=claim[1])
    life.run()


def test_a_store_that_was_lost_is_not_begun_anew(life: Life) -> None:
    """The folder is gone, or is another one: the log knows a store, and the first key says so."""
    shutil.rmtree(life.home)
    with pytest.raises(ConfigError, match="is new, and the audit log knows one"):
        life.ops.create("k")
    assert life.adapter.list_keys() == []
    assert any("is new" in what for what in life.problems())


def test_a_store_that_does_not_say_stops_no_record(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing record is worth more than what it notes."""

    def fail(_: LocalStore) -> int:
        raise StoreUnavailable("it is locked")

    monkeypatch.setattr(LocalStore, "generation", fail)
    run(life.adapter, open_log((life.folder / "fresh").as_uri()), principal="me")
    log = open_log((life.folder / "fresh").as_uri())
    (closing,) = [e.name for e in log.entries("log/") if e.name.endswith("999999.json")]
    assert "generation" not in json.loads(log.get(closing) or b"")["counts"]


def test_the_command_says_it(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """``audit verify`` ends with 1 and names it; a rotation ends with 2."""
    life.run()
    life.put_back("copy")
    monkeypatch.setenv("DAENA_KMS_HOME", str(life.home))
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", life.log.url)
    verified = CliRunner().invoke(app, ["audit", "verify"])
    rotated = CliRunner().invoke(app, ["rotate"])
    assert (verified.exit_code, rotated.exit_code) == (1, 2)
    assert "the local store is older than the audit log" in verified.stdout
    assert "the local store is older than the audit log" in rotated.stderr


def test_the_newest_number_that_is_proved_counts() -> None:
    """Whatever their order, and however many others there are."""
    every = [{"generation": n, "generation_proof": n if n % 2 else 0} for n in (3, 9, 8, 5)]
    assert newest(every, lambda n: n, 2) == 9
    assert newest(every, lambda n: n, 9) == 9
    assert newest([{}], lambda n: n, 4) == 4
