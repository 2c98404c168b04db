"""Twenty who record at once: the chain of manifests does not fork, and no value takes another's."""

import secrets
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import RotationConflict
from daena_kms.kms import KeyManagementService, RotationRecord

from tests.faults import racer
from tests.faults.at_once import at_once
from tests.faults.services import service, signing_file
from tests.worlds.base import FaultWorld

KEY = "app-key"
MANY = 20


def test_many_keys_at_once_make_one_chain(calm: FaultWorld) -> None:
    """Each record has a manifest; they follow each other without a gap or a fork."""
    kms = service(calm)
    values = {f"key-{number}": secrets.token_urlsafe() for number in range(MANY)}
    records = at_once(
        [
            lambda key_id=key_id, value=value: kms.record_rotation(value, key_id)  # type: ignore[misc] # mypy infers no default
            for key_id, value in values.items()
        ]
    )
    for record in records:
        assert isinstance(record, RotationRecord), record
    report = kms.verify_chain()
    assert (report.problems, report.notes, report.manifests) == ([], [], MANY)
    assert {m.key_id for m in kms.iter_manifests()} == set(values)
    for manifest in kms.iter_manifests():
        assert kms.matches(manifest, values[manifest.key_id])
        assert calm.adapter.get_key(manifest.key_id) == values[manifest.key_id]
    assert calm.verify().ok


def test_many_values_for_one_key(calm: FaultWorld) -> None:
    """Each success is a version that holds just that value; each loser gets RotationConflict."""
    kms = service(calm)
    kms.record_rotation(secrets.token_urlsafe(), KEY)
    values = [secrets.token_urlsafe() for _ in range(MANY)]

    def record(value: str) -> tuple[str, str]:
        made = service(calm).record_rotation(value, KEY)
        assert made.version is not None
        return made.version, value

    answers = at_once([lambda value=value: record(value) for value in values])  # type: ignore[misc] # mypy infers no default
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {type(error) for error in errors} <= {RotationConflict}, errors
    done = dict(answer for answer in answers if not isinstance(answer, BaseException))
    assert done
    for version, value in done.items():
        assert calm.adapter.store.read(KEY, version) == value
    assert calm.adapter.get_key(KEY) in done.values()
    report = kms.verify_chain()
    assert (report.problems, report.manifests) == ([], 1 + len(done))
    assert calm.verify().ok


def test_many_who_create_one_key(calm: FaultWorld) -> None:
    """At least one succeeds; the current value is one of theirs, and each has its version."""
    kms = service(calm)
    values = [secrets.token_urlsafe() for _ in range(MANY)]
    answers = at_once([lambda value=value: kms.record_rotation(value, KEY) for value in values])  # type: ignore[misc] # mypy infers no default
    kinds = Counter(
        answer.kind if isinstance(answer, RotationRecord) else type(answer).__name__
        for answer in answers
    )
    assert kinds["create"] == 1
    assert set(kinds) <= {"create", "rotate", "RotationConflict"}
    assert calm.adapter.get_key(KEY) in values
    report = kms.verify_chain()
    assert report.ok
    assert report.manifests == kinds["create"] + kinds["rotate"]


def test_many_processes_with_a_log(tmp_path: Path) -> None:
    """Twenty processes, twenty keys, one chain, one log; all of it verifies."""
    signing = signing_file(tmp_path)
    outcomes = racer.race(racer.record_one, tmp_path, "key", datetime.now(UTC), MANY)
    assert outcomes == [racer.ROTATED] * MANY
    adapter, log = LocalAdapter(tmp_path / "store"), open_log((tmp_path / "audit").as_uri())
    kms = KeyManagementService(adapter=adapter, log=log, signing_key=signing)
    report = kms.verify_chain()
    assert (report.problems, report.notes, report.manifests) == ([], [], MANY)
    assert {m.key_id for m in kms.iter_manifests()} == set(adapter.list_keys())
    assert verify(log, adapter.store.scan()).ok


def test_many_processes_with_one_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty first users make one signing key, one store, one log and one chain."""
    outcomes = racer.race(racer.record_at_home, tmp_path, "key", datetime.now(UTC), MANY)
    assert outcomes == [racer.ROTATED] * MANY
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path / "home"))
    report = KeyManagementService().verify_chain()
    assert (report.problems, report.notes, report.manifests) == ([], [], MANY)
    assert len(LocalAdapter().list_keys()) == MANY
