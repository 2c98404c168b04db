"""Every store's log can be sealed in the same kind of place, and what others change is named."""

import pytest
from daena_kms.audit.verify import verify
from daena_kms.seal import open_copies, open_seals
from daena_kms.seal.check import SealCheck
from daena_kms.seal.ledger import Ledger
from daena_kms.seal.notes import read_checkpoint, read_note
from daena_kms.seal.place import Seals, checkpoint_name
from daena_kms.seal.sealer import Sealer
from daena_kms.settings import Settings

from tests.unit.seal.sealed import new_signer
from tests.worlds.base import DAY, FaultWorld


@pytest.fixture(scope="module")
def wire() -> bool:
    """Objects go over a connection, as obstore does it."""
    return True


def test_sealed_twice_and_verified(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the addresses of the environment, with the store's own credentials."""
    address = world.environment["DAENA_KMS_AUDIT_URL"]
    given = {"SEAL_URL": f"{address}/seals", "CHECKPOINT_COPY": f"{address}/copies"}
    world.lead(monkeypatch, **{f"DAENA_KMS_{name}": value for name, value in given.items()})
    place, copy, origin = open_seals(), open_copies(), Settings.load().seal_origin
    assert place is not None
    assert copy is not None
    assert origin is not None
    assert f"//{origin}" in f"{address}/seals"
    signer = new_signer(origin)
    for after in (DAY, 2 * DAY):
        world.adapter.create_key(f"key-{after.days}")
        world.run(after)
        sealer = Sealer(world.log, place, [signer], origin, copy)
        done = sealer.seal(world.at(after))
        assert (done.problems, done.notes, done.seals) == ([], [], 1)

    newest = Seals(place).newest()
    assert newest is not None
    assert newest.number == 1
    note = copy.get(checkpoint_name(newest.size))
    assert note is not None
    assert read_checkpoint(read_note(note)).root == newest.root
    with Ledger() as ledger:
        report = verify(world.log, seals=SealCheck(place, [signer.key], ledger))
    assert [p for p in report.problems if "log/" not in p.name] == []
    assert report.problems == []
    assert not any("not sealed yet" in note for note in report.notes)
    sealer = Sealer(world.log, place, [signer], origin, copy)
    assert sealer.seal(world.at(3 * DAY), everything=False).seals == 0
