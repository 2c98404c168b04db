"""The key management service tells the endpoint of every rotation that is recorded with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daena_kms.errors import RotationConflict
from daena_kms.kms import KeyManagementService

from tests.faults.leaks import canary, leaked
from tests.unit.kms.manifests import old_chain, one_signer, write_old
from tests.unit.kms.services import Service
from tests.unit.local_keys import fingerprint, retag
from tests.unit.notify.receiver import Receiver
from tests.unit.notify.test_notify_runs import AUTHORITY, set_up, told

ROTATED, FAILED = "io.daena-kms.key.rotated", "io.daena-kms.key.failed"


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that the environment names and allows."""
    with Receiver(name="localhost", authority=AUTHORITY) as found:
        set_up(found, tmp_path, monkeypatch)
        yield found


def test_each_recorded_rotation_is_told_once(tmp_path: Path, receiver: Receiver) -> None:
    """The first value of a key, the next, one made elsewhere, a rollback; never a value."""
    service = Service(tmp_path)
    values = [canary() for _ in range(3)]
    first = service.kms.record_rotation(values[0], "app-key")
    second = service.kms.record_rotation(values[1], "app-key")
    third = service.kms.record_rotation(values[2], "other-key", store_in_cloud=False)
    back = service.kms.rollback_key("app-key")
    found = [(event["type"], event["subject"], event["data"]) for event in told(receiver)]
    assert [(type_, subject) for type_, subject, _ in found] == [
        (ROTATED, "app-key"),
        (ROTATED, "app-key"),
        (ROTATED, "other-key"),
        ("io.daena-kms.key.rolled-back", "app-key"),
    ]
    operations = [data["operation"] for _, _, data in found]
    assert operations == ["record", "rotate", "record", "rollback"]
    runs = [(data["run"], data.get("new_version")) for _, _, data in found]
    assert runs == [(record.run, record.version) for record in (first, second, third, back)]
    assert {data["provider"] for _, _, data in found} == {"local"}
    assert leaked(values, [request.body.decode() for request in receiver.requests]) == []


def test_what_failed_is_told_and_an_import_is_not(tmp_path: Path, receiver: Receiver) -> None:
    """A race that is lost is a failure; what was refused before anything began is silent."""
    service, material = Service(tmp_path), canary()
    write_old(tmp_path / "old", old_chain("secret", 2))
    service.kms.import_manifests(tmp_path / "old", "secret")
    service.kms.record_rotation(canary(), "app-key")
    retag(service.adapter, "app-key", {"daena.hold": "true"})
    with pytest.raises(RotationConflict):
        service.kms.record_rotation(material, "app-key")
    retag(service.adapter, "app-key", {"daena.hold": None})
    assert [event["type"] for event in told(receiver)] == [ROTATED]
    store = service.adapter.store
    twin, pending = Service(tmp_path, log=service.log), [True]

    def late(*arguments: object) -> object:
        if pending:
            pending.clear()
            twin.kms.record_rotation(canary(), "app-key")
        return type(store).stage(store, *arguments)  # type: ignore[arg-type] # the primitive's own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "stage", late)
        with pytest.raises(RotationConflict):
            service.kms.record_rotation(material, "app-key")
    assert [event["type"] for event in told(receiver)] == [ROTATED, ROTATED, FAILED]
    assert leaked([material], [request.body.decode() for request in receiver.requests]) == []


def test_without_a_log_the_manifest_stands_for_the_run(tmp_path: Path, receiver: Receiver) -> None:
    """Each event has an id of its own."""
    kms = KeyManagementService(manifests=tmp_path / "own", signing_key=one_signer())
    records = [kms.record_rotation(canary(), "app-key") for _ in range(2)]
    events = told(receiver)
    assert [event["data"]["run"] for event in events] == [r.manifest_id for r in records]
    assert len({event["id"] for event in events}) == 2
    assert {event["data"]["provider"] for event in events} == {"none"}


def test_a_receiver_that_is_away_stops_nothing(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value is stored and attested all the same."""
    monkeypatch.setenv("DAENA_KMS_ENDPOINT", f"http://localhost:{receiver.port}/in")
    service, material = Service(tmp_path), canary()
    service.kms.record_rotation(material, "app-key")
    assert fingerprint(service.adapter.get_key("app-key")) == fingerprint(material)
    assert service.kms.verify_chain().manifests == 1
    assert receiver.requests == []
