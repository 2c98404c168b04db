"""Manifests beside an audit log are a view of it: where the two differ, that is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit.reader import history
from daena_kms.audit.records import decode, encode
from daena_kms.audit.verify import verify
from daena_kms.engine import run
from daena_kms.errors import AuditUnavailable
from daena_kms.kms.manifests import Chain, attest
from daena_kms.kms.manifests.format import Manifest
from daena_kms.kms.manifests.format import encode as encode_manifest
from daena_kms.objects.base import Entry

from tests.unit.kms.manifests import one_signer, resigned, rotation
from tests.unit.kms.services import Service
from tests.worlds.memory import MemoryObjects, Wrapped

FIRST, SECOND, THIRD = (f"manifests/00000000000{number}.json" for number in (1, 2, 3))


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Give a service that has recorded three rotations, the last one made elsewhere."""
    made = Service(tmp_path)
    made.kms.record_rotation("first-value-of-it", "some-key")
    made.kms.record_rotation("second-value-of-it", "some-key")
    made.kms.record_rotation("value-of-another", "other-key", store_in_cloud=False)
    return made


def wrong(service: Service) -> list[tuple[str, str]]:
    """What the chain's verification finds."""
    return [(problem.name, problem.what) for problem in service.kms.verify_chain().problems]


def test_they_agree(service: Service) -> None:
    """Each manifest is named by the row of its rotation, with its object's hash."""
    report = service.kms.verify_chain()
    assert (report.problems, report.notes, report.manifests) == ([], [], 3)
    audit = verify(service.log, service.adapter.store.scan())
    assert audit.ok
    rows = [row["manifest"] for row in history(service.log)]
    assert sorted(ref.partition("@")[0] for ref in rows) == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize("moment", range(4))
def test_rotations_under_way_are_no_problem(service: Service, moment: int) -> None:
    """Whatever was read already when another one is recorded, nothing is wrong."""
    moments: list[str] = []

    class Busy(Wrapped):
        def entries(self, prefix: str) -> list[Entry]:
            moments.append(f"before {prefix}")
            self.meet()
            found = super().entries(prefix)
            moments.append(f"after {prefix}")
            self.meet()
            return found

        def meet(self) -> None:
            if moments[moment + 2 :] and not moments[moment + 3 :]:
                service.kms.record_rotation("fourth-value-of-it", "some-key")

    report = service.open(log=Busy(service.memory)).verify_chain()
    assert len(moments) == 6
    assert report.problems == []
    assert len(list(service.kms.iter_manifests())) == 4


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD])
def test_a_manifest_cut_off_is_missed(service: Service, name: str) -> None:
    """The log names it: nothing has to be kept elsewhere for that."""
    del service.memory.stored[name]
    assert (name, "is missing, but the audit log names it") in wrong(service)
    problems = verify(service.log).problems
    assert [p.name for p in problems] == [name]
    assert problems[0].what == "is missing: a result names this manifest"


def test_a_manifest_rewritten_by_who_holds_the_key(service: Service) -> None:
    """Its signature is right, and the log knows better."""
    raw = json.loads(service.memory.stored[THIRD])
    forged = resigned(raw, one_signer(), operator="mallory")
    service.memory.stored[THIRD] = encode_manifest(forged)
    assert (THIRD, "was changed: the audit log names another hash") in wrong(service)
    assert (
        verify(service.log).problems[0].what
        == "was changed: its hash is not the one that a result names"
    )


def test_a_manifest_that_was_added(service: Service) -> None:
    """One that attests a rotation of which the log knows nothing is a lie, however well signed."""
    chain = Chain(service.log)
    lie = rotation(key_id="some-key", kind="rotate", run="ab" * 16, version="v9")
    attest(one_signer(), chain, lie)
    name = "manifests/000000000004.json"
    assert wrong(service) == [(name, "attests a rotation that is not in the audit log")]


def test_one_of_a_rotation_made_elsewhere_without_a_row(service: Service) -> None:
    """Its writer may have been interrupted: nothing contradicts it, and that is noted."""
    attest(one_signer(), Chain(service.log), rotation(run="ab" * 16))
    report = service.kms.verify_chain()
    assert report.ok
    assert report.notes == [
        "manifests/000000000004.json is in no record of the audit log: its writer was interrupted"
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("key", "other-key", "key"),
        ("kind", "rollback", "kind"),
        ("new_version", "v9", "version"),
        ("new_version", None, "version"),
    ],
)
def test_a_row_that_says_otherwise(service: Service, field: str, value: Any, said: str) -> None:
    """Where the log's row differs from the manifest that it names, both are in question."""
    for name, data in service.memory.stored.items():
        record = decode(data, name) if name.startswith("log/") else {}
        for row in record.get("results", ()):
            if str(row.get("manifest", "")).startswith(SECOND):
                row[field] = value
                if value is None:
                    del row[field]
                service.memory.stored[name] = encode(record)
                assert verify(service.log).problems
    assert [name for name, _ in wrong(service)] == [SECOND]
    assert f"names another {said} than the audit log's run" in wrong(service)[0][1]


def test_a_row_moved_to_another_run(service: Service) -> None:
    """The manifest names the run that it belongs to."""
    raw = json.loads(service.memory.stored[SECOND])
    assert raw["run"] != json.loads(service.memory.stored[FIRST])["run"]
    for name, data in list(service.memory.stored.items()):
        if raw["run"] in name:
            record = json.loads(data)
            record["run"] = "ab" * 16
            service.memory.stored[name] = encode(record)
    assert "names another run" in wrong(service)[0][1]


def test_broken_records_are_left_to_the_log_s_own_verification(service: Service) -> None:
    """They stop nothing here; what they named is then unknown to the log."""
    for name in list(service.memory.stored):
        if name.startswith("log/"):
            service.memory.stored[name] = b"nonsense"
    service.memory.stored[FIRST] = b"nonsense"
    found = wrong(service)
    assert (FIRST, "is not a manifest") in found
    assert (SECOND, "attests a rotation that is not in the audit log") in found


class CutOff(Wrapped):
    """A log that takes no more after the manifest."""

    def __init__(self, inner: MemoryObjects) -> None:
        super().__init__(inner)
        self.after = self._cut

    def _cut(self, name: str, data: bytes) -> None:
        del data
        if name.startswith("manifests/"):
            self.fail_from = 0


def test_a_rotation_that_was_interrupted_after_its_manifest(tmp_path: Path) -> None:
    """It is noted until a run has looked, and after that as confirmed; the chain stays right."""
    service = Service(tmp_path)
    service.kms.record_rotation("first-value-of-it", "some-key")
    cut = CutOff(service.memory)
    with pytest.raises(AuditUnavailable, match="the log is full"):
        service.open(log=cut).record_rotation("second-value-of-it", "some-key")
    report = service.kms.verify_chain()
    assert report.ok
    assert report.notes == [f"{SECOND}: its run was interrupted; the next run will look"]
    run(service.adapter, service.log)
    report = service.kms.verify_chain()
    assert report.ok
    assert report.notes == [f"{SECOND}: its run was interrupted, and a later one confirmed it"]
    assert verify(service.log, service.adapter.store.scan()).ok


def test_a_name_that_leads_out_of_the_log_is_no_record(service: Service) -> None:
    """Whoever may add records can't make a reader get what lies elsewhere."""
    for name, data in list(service.memory.stored.items()):
        if name.startswith("log/") and b'"manifest"' in data:
            record = json.loads(data)
            for bad in ("../../etc/passwd@sha256:" + "0" * 64, "x", 7, [FIRST]):
                record["results"][0]["manifest"] = bad
                with pytest.raises(
                    AuditUnavailable, match="not a record that this version of daena-kms reads"
                ):
                    decode(encode(record), name)


def test_an_import_is_a_row_too(tmp_path: Path) -> None:
    """Old manifests are in no row; the one that signs for them is."""
    from tests.unit.kms.manifests import old_chain, write_old

    service = Service(tmp_path)
    write_old(tmp_path / "old", old_chain("secret", 3))
    assert service.kms.import_manifests(tmp_path / "old", "secret") == 3
    service.kms.record_rotation("first-value-of-it", "some-key")
    report = service.kms.verify_chain()
    assert (report.problems, report.notes, report.manifests) == ([], [], 5)
    found = list(service.kms.iter_manifests())
    assert [m.kind for m in found] == [None, None, None, "import", "create"]
    assert found[3].metadata == {"imported": 3, "last": found[2].manifest_hash}
    assert isinstance(found[3], Manifest)
    assert verify(service.log, service.adapter.store.scan()).ok
