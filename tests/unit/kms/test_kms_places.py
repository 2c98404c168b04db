"""Where the service finds store, log, manifests and signing key: arguments first, then settings."""

from pathlib import Path

import pytest
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import ConfigError
from daena_kms.kms import KeyManagementService
from daena_kms.kms.manifests import Signer

from tests.unit.kms.manifests import one_signer, pem
from tests.worlds.memory import MemoryObjects

VALUE = "a-value-to-record"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing be set, and every relative path be in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAENA_OPERATOR", "alice")


def files(folder: Path) -> set[str]:
    """The files below a folder, without what varies by run."""
    return {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}


def test_a_home_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store, log, manifests and signing key are in it, however its path is written."""
    monkeypatch.setenv("DAENA_KMS_HOME", "home")
    kms = KeyManagementService()
    assert repr(kms) == "KeyManagementService(LocalAdapter())"
    assert not (tmp_path / "home").exists()
    kms.record_rotation(VALUE, "some-key")
    assert files(tmp_path / "home") >= {"audit", "keys.db", "master.key", "signing.key"}
    assert (tmp_path / "home" / "audit" / "manifests" / "000000000001.json").exists()
    again = KeyManagementService("local")
    assert again.get_key_from_cloud("some-key") == VALUE
    assert again.public_key == kms.public_key
    assert again.verify_chain().manifests == 1
    last = again.load_last_manifest()
    assert last is not None
    assert last.operator == "alice"


def test_an_audit_log_that_is_set_holds_the_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log and manifests are in one place."""
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAENA_KMS_AUDIT_URL", (tmp_path / "log").as_uri())
    KeyManagementService().record_rotation(VALUE, "some-key")
    assert files(tmp_path / "log") == {"log", "manifests"}
    assert files(tmp_path / "home") >= {"keys.db", "master.key", "signing.key"}


def test_without_provider_and_log_there_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is all there is: its manifests are a chain of their own."""
    monkeypatch.setenv("DAENA_KMS_SIGNING_KEY", pem())
    kms = KeyManagementService(manifests="own")
    assert repr(kms) == "KeyManagementService(None)"
    record = kms.record_rotation(VALUE, "some-key")
    assert (record.run, record.version) == (None, None)
    assert record.manifest.startswith("000000000001.json@sha256:")
    assert {path.name for path in (tmp_path / "own").iterdir()} == {"000000000001.json"}
    kms.create_manifest(VALUE, "some-key")
    assert kms.verify_chain(since=record.manifest).manifests == 2


def test_a_cloud_s_store_is_changed_through_a_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a folder for manifests instead nothing is stored; what others made is attested."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path / "home"))
    kms = KeyManagementService("aws", manifests="own")
    with pytest.raises(ConfigError, match=r"nothing changes without one. Set DAENA_KMS_AUDIT_URL"):
        kms.record_rotation(VALUE, "some-key")
    kms.record_rotation(VALUE, "some-key", store_in_cloud=False)
    assert files(tmp_path / "home") == {"signing.key"}
    assert kms.verify_chain().manifests == 1


def test_the_provider_is_detected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the adapters' factory does it; two that are pointed to are an error, none is not."""
    monkeypatch.setenv("AWS_KMS_KEY_ID", "alias/app")
    assert "AWSKMSAdapter" in repr(KeyManagementService())
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="points to aws and local"):
        KeyManagementService()
    monkeypatch.setenv("DAENA_CLOUD_KMS_PROVIDER", "local")
    assert "LocalAdapter" in repr(KeyManagementService())
    assert "AWSKMSAdapter" in repr(KeyManagementService("aws"))
    given = LocalAdapter(tmp_path)
    assert "LocalAdapter" in repr(KeyManagementService("aws", adapter=given))
    for unknown in ("oracle", ""):
        with pytest.raises(ConfigError, match="is not a provider"):
            KeyManagementService(unknown)


def test_an_adapter_and_a_log_of_your_own(tmp_path: Path) -> None:
    """Both are used as they are."""
    kms = KeyManagementService(
        adapter=LocalAdapter(tmp_path), log=MemoryObjects(), signing_key=one_signer()
    )
    assert kms.record_rotation(VALUE, "some-key").kind == "create"


def test_two_places_for_manifests_are_one_too_many(tmp_path: Path) -> None:
    """Beside a log they are with it: in a folder they would be a second truth."""
    kms = KeyManagementService(
        log=MemoryObjects(), manifests=tmp_path / "own", signing_key=one_signer()
    )
    with pytest.raises(ConfigError, match="manifests are kept with the audit log memory://, not"):
        kms.record_rotation(VALUE, "some-key")


def test_with_nothing_set_all_is_in_the_user_s_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A purely local log and manifests, as the older system had; a warning says where."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    kms = KeyManagementService()
    record = kms.record_rotation(VALUE, "some-key")
    assert (record.version, record.run is None) == (None, False)
    assert files(tmp_path / "user" / ".daena-kms") == {"audit", "signing.key"}
    assert kms.verify_chain().manifests == 1
    assert "the audit log is file://" in caplog.text
    assert (tmp_path / "user" / ".daena-kms" / "signing.key").stat().st_mode & 0o077 == 0


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to set."""

    def none() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(ConfigError, match="Set DAENA_KMS_HOME"):
        KeyManagementService().record_rotation(VALUE, "some-key")


def test_a_signing_key_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a signer, as PEM, as a path; an argument goes before the variable."""
    text = pem()
    path = tmp_path / "key.pem"
    path.write_text(text)
    path.chmod(0o600)
    expected = Signer.from_pem(text).public_key
    monkeypatch.setenv("DAENA_KMS_SIGNING_KEY", pem())
    for given in (text, path, str(path), Signer.from_pem(text)):
        assert KeyManagementService(signing_key=given).public_key == expected
    assert KeyManagementService().public_key != expected
    monkeypatch.setenv("DAENA_KMS_SIGNING_KEY", str(path))
    assert KeyManagementService().public_key == expected


def test_who_only_verifies_needs_no_signing_key(tmp_path: Path) -> None:
    """The public key is enough, and nothing is made."""
    log = MemoryObjects()
    own = KeyManagementService(log=log, signing_key=one_signer())
    own.create_manifest(VALUE, "some-key")
    reader = KeyManagementService(log=log)
    assert reader.verify_chain(public_key=own.public_key)
    assert [reader.verify_manifest(m, public_key=own.public_key) for m in reader.iter_manifests()]
    assert list(tmp_path.iterdir()) == []


def test_an_operator_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that would forge a line in a log is refused at once."""
    monkeypatch.setenv("DAENA_OPERATOR", "alice\nbob")
    with pytest.raises(ConfigError, match="Set DAENA_OPERATOR"):
        KeyManagementService()
    KeyManagementService(operator="carol")
