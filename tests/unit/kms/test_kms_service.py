"""The service's own part: what it checks, what it says, what it does without a store."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daena_kms import kms as module
from daena_kms.audit.reader import history
from daena_kms.errors import (
    AuditUnavailable,
    ConfigError,
    DaenaKMSError,
    InvalidKeyId,
    KeyNotFound,
    ManifestInvalid,
)
from daena_kms.kms import KeyManagementService

from tests.unit.kms.manifests import old_chain, one_signer, signer, write_old
from tests.unit.kms.services import Service
from tests.unit.local_keys import fingerprint
from tests.worlds.memory import MemoryObjects, Wrapped

VALUE = "a-value-to-record"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Give a service on an empty store."""
    return Service(tmp_path)


BAD: dict[str, tuple[Callable[[KeyManagementService], object], type[DaenaKMSError], str]] = {
    "no id": (lambda k: k.record_rotation(VALUE, ""), InvalidKeyId, "not a key id"),
    "a bad id": (lambda k: k.record_rotation(VALUE, "A/b"), InvalidKeyId, "not a key id"),
    "no text as id": (lambda k: k.record_rotation(VALUE, 7), InvalidKeyId, "int is not"),  # type: ignore[arg-type] # the point
    "empty": (lambda k: k.record_rotation("", "some-key"), ConfigError, "has 0 bytes"),
    "bytes": (lambda k: k.record_rotation(b"x", "some-key"), ConfigError, "is bytes, not text"),  # type: ignore[arg-type] # the point
    "nothing": (lambda k: k.record_rotation(None, "some-key"), ConfigError, "NoneType, not text"),  # type: ignore[arg-type] # the point
    "too long": (lambda k: k.record_rotation("x" * 25_001, "some-key"), ConfigError, "25001 bytes"),
    "surrogates": (lambda k: k.record_rotation("\udcff", "some-key"), ConfigError, "surrogates"),
    "metadata": (
        lambda k: k.record_rotation(VALUE, "some-key", {"a": object()}),
        ConfigError,
        "not plain JSON",
    ),
    "the value in the metadata": (
        lambda k: k.record_rotation(VALUE, "some-key", {"note": f"it is {VALUE}"}),
        ConfigError,
        "its metadata contains the value itself",
    ),
    "the value as the id": (
        lambda k: k.record_rotation("some-other-key", "some-other-key"),
        ConfigError,
        "^the key id contains the value itself",
    ),
    "elsewhere": (lambda k: k.create_manifest("", "some-key"), ConfigError, "has 0 bytes"),
    "an absent key": (lambda k: k.rollback_key("some-key"), KeyNotFound, "no such key"),
    "delete": (lambda k: k.delete_key("some-key"), KeyNotFound, "no such key"),
    "restore": (lambda k: k.restore_key("some-key"), KeyNotFound, "no such key"),
    "get": (lambda k: k.get_key_from_cloud("some-key"), KeyNotFound, "no such key"),
}


@pytest.mark.parametrize("how", BAD)
def test_bad_input_changes_nothing(service: Service, how: str) -> None:
    """A clear error that names the input and the allowed form; no record, no manifest, no key."""
    call, kind, words = BAD[how]
    with pytest.raises(kind, match=words) as caught:
        call(service.kms)
    assert caught.value.todo
    assert service.memory.stored == {}
    assert service.adapter.list_keys() == []


def test_the_value_as_the_operator(service: Service) -> None:
    """Whoever set the variable so finds it in no log."""
    kms = service.open(operator=VALUE)
    with pytest.raises(ConfigError, match="its operator contains the value itself"):
        kms.record_rotation(VALUE, "some-key")
    assert service.memory.stored == {}


def test_a_log_that_can_t_be_written_stops_it(service: Service) -> None:
    """The intent comes first, as everywhere: nothing is stored."""
    broken = Wrapped(service.memory)
    broken.fail_from = 1
    with pytest.raises(AuditUnavailable, match="the log is full"):
        service.open(log=broken).record_rotation(VALUE, "some-key")
    assert service.adapter.list_keys() == []


def test_a_place_of_manifests_that_can_t_be_read_stops_it(service: Service) -> None:
    """Before anything is changed."""

    class Blind(MemoryObjects):
        def entries(self, prefix: str) -> Any:
            if prefix.startswith("manifests/"):
                raise AuditUnavailable("it can't be listed", todo="Look")
            return super().entries(prefix)

    with pytest.raises(AuditUnavailable, match="it can't be listed"):
        service.open(log=Blind()).record_rotation(VALUE, "some-key")
    assert service.adapter.list_keys() == []


@pytest.mark.parametrize("nonsense", [b"", b"{}", b"\xff", b"[" * 70_000])
def test_nonsense_among_the_manifests_is_found_before_a_value_is_stored(
    service: Service, nonsense: bytes
) -> None:
    """A little of it stops nothing; so much that the end can't be found stores nothing."""
    service.kms.record_rotation(VALUE, "some-key")
    for number in range(2, 101):
        service.memory.put_new(f"manifests/{number:012}.json", nonsense)
    assert service.kms.record_rotation("another-value", "some-key").manifest[:27] == (
        "manifests/000000000101.json"
    )
    for number in range(102, 202):
        service.memory.put_new(f"manifests/{number:012}.json", nonsense)
    objects = len(service.memory.stored)
    with pytest.raises(AuditUnavailable, match=r"last 100 objects in .* are not manifests"):
        service.kms.record_rotation("one-more-value", "some-key")
    assert fingerprint(service.adapter.get_key("some-key")) == fingerprint("another-value")
    assert len(service.memory.stored) == objects


def test_a_manifest_that_can_t_be_written_is_told_with_what_happened(service: Service) -> None:
    """The value is current, and the error says so: nobody has to guess."""
    log = Wrapped(service.memory)

    def only_log(name: str, _data: bytes) -> None:
        if name.startswith("manifests/"):
            raise AuditUnavailable("the disk is full", todo="Make room")

    log.before = only_log
    with pytest.raises(AuditUnavailable, match="is current, but has no manifest: the disk is full"):
        service.open(log=log).record_rotation(VALUE, "some-key")
    assert fingerprint(service.adapter.get_key("some-key")) == fingerprint(VALUE)
    service.kms.record_rotation("the-next-value", "some-key")
    rows = [(row["kind"], row["result"]) for row in history(service.log)]
    assert rows == [("create", "done"), ("rotate", "done")]
    assert service.kms.verify_chain()


def test_without_a_store_the_rotation_is_one_made_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says that nothing is stored; log and manifest are written all the same."""
    log = MemoryObjects()
    kms = KeyManagementService(log=log, signing_key=one_signer(), operator="alice")
    with caplog.at_level(logging.INFO, "daena_kms"):
        record = kms.record_rotation(VALUE, "some-key")
    assert (record.kind, record.version) == ("record", None)
    assert "no provider is set: the value of some-key is not stored" in caplog.text
    assert f"record of some-key: version None, manifest {record.manifest}" in caplog.text
    row = next(history(log))
    assert (row["provider"], row["kind"], row["result"]) == ("none", "record", "done")
    assert kms.verify_chain()
    for call in (kms.get_key_from_cloud, kms.rollback_key, kms.delete_key, kms.restore_key):
        with pytest.raises(ConfigError, match=r"no provider is set.*DAENA_CLOUD_KMS_PROVIDER"):
            call("some-key")
    assert list(tmp_path.iterdir()) == []


def test_what_was_open_stays_for_a_run_with_a_store(service: Service) -> None:
    """A note in the log settles nothing that it can't look at, and hides nothing."""
    cut = Wrapped(service.memory)
    cut.fail_from = 2
    with pytest.raises(AuditUnavailable):
        service.open(log=cut).record_rotation(VALUE, "some-key")
    service.kms.record_rotation("of-another-store", "other-key", store_in_cloud=False)
    assert [row["kind"] for row in history(service.log)] == ["record"]
    service.kms.record_rotation("of-another-store", "third-key")
    recovered = [row for row in history(service.log) if row.get("recovered")]
    assert [(row["key"], row["result"]) for row in recovered] == [("some-key", "done")]


def test_create_manifest_attests_what_was_made_elsewhere(service: Service) -> None:
    """It returns the manifest, signed and in the chain."""
    manifest = service.kms.create_manifest(VALUE, "some-key", {"ticket": 7})
    assert service.kms.load_last_manifest() == manifest
    assert service.kms.verify_manifest(manifest)
    assert service.kms.verify_manifest(manifest.to_dict(), public_key=one_signer().public_key)
    assert (manifest.kind, manifest.metadata, manifest.version) == ("record", {"ticket": 7}, None)
    assert service.adapter.list_keys() == []


def test_whose_value_a_manifest_attests(service: Service) -> None:
    """Who holds the signing key can show it; another key can't tell."""
    manifest = service.kms.create_manifest(VALUE, "some-key")
    assert service.kms.matches(manifest, VALUE)
    assert not service.kms.matches(manifest, VALUE + "!")
    with pytest.raises(ConfigError, match="was signed with another key"):
        service.open(signing_key=signer()).matches(manifest, VALUE)
    with pytest.raises(ManifestInvalid, match="signed by a key that is not trusted"):
        service.open(signing_key=signer()).verify_manifest(manifest)


def test_an_empty_chain(service: Service) -> None:
    """There is no last manifest, and nothing is wrong."""
    assert service.kms.load_last_manifest() is None
    assert list(service.kms.iter_manifests()) == []
    assert service.kms.verify_chain()


def test_a_chain_of_two_writers(service: Service) -> None:
    """It is right for who trusts both keys."""
    other = signer()
    service.kms.record_rotation(VALUE, "some-key")
    service.open(signing_key=other).record_rotation("another-value", "some-key")
    report = service.kms.verify_chain()
    assert [problem.name for problem in report.problems] == ["manifests/000000000002.json"]
    keys = [one_signer().public_key, other.public_key]
    assert service.kms.verify_chain(public_key=keys)


def test_an_import_is_whole_or_nothing(service: Service, tmp_path: Path) -> None:
    """A wrong file, or a chain that has begun, imports none; what is imported verifies."""
    old = old_chain("secret", 3)
    write_old(tmp_path / "old", old)
    with pytest.raises(ManifestInvalid, match="signature"):
        service.kms.import_manifests(tmp_path / "old", "wrong")
    assert service.memory.stored == {}
    assert service.kms.import_manifests(tmp_path / "old", "secret") == 3
    assert service.kms.verify_chain()
    assert service.kms.verify_chain(hmac_key="secret")
    assert service.kms.verify_manifest(old[1], hmac_key="secret")
    held = dict(service.memory.stored)
    with pytest.raises(ConfigError, match="holds other manifests already"):
        service.kms.import_manifests(tmp_path / "old", "secret")
    assert service.memory.stored == held


def test_the_time_is_the_caller_s(tmp_path: Path) -> None:
    """With ``now`` given, records and manifests are of that time."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    service = Service(tmp_path, now=now)
    record = service.kms.record_rotation(VALUE, "some-key")
    assert record.time.replace(microsecond=0) == now
    assert record.version is not None
    assert record.version.startswith("daena-20260301T120000Z-")


def test_what_users_of_the_older_system_look_for_is_here() -> None:
    """The functions are in the module, too."""
    names = {"create_manifest", "verify_manifest", "verify_chain", "KeyManagementService"}
    assert names <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
    methods = {"iter_manifests", "load_last_manifest", "create_manifest", "verify_chain"}
    assert methods <= set(dir(KeyManagementService))


def test_nothing_shows_a_value(service: Service) -> None:
    """Neither the service, nor a record, nor a manifest, nor their plain data."""
    record = service.kms.record_rotation(VALUE, "some-key")
    manifest = service.kms.load_last_manifest()
    assert manifest is not None
    shown = [record, service.kms, manifest, manifest.to_dict(), service.memory.stored]
    assert VALUE not in "".join(map(repr, shown))
