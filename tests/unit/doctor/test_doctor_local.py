"""The local store: its folder and its master key."""

import base64
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.doctor import Status
from daena_kms.doctor.local import LocalExam

from tests.unit.doctor.worlds import Patient

NAME = "master key"


def home() -> Path:
    """The store's folder."""
    return Path(os.environ["DAENA_KMS_HOME"])


def test_a_store_that_is_not_there(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped folder is told, and is not made."""
    nowhere = home().with_name("nowhere")
    monkeypatch.setenv("DAENA_KMS_HOME", str(nowhere))
    odd = local.odd()
    assert odd["store"].status is Status.WRONG
    assert "DAENA_KMS_HOME" in odd["store"].todo
    assert not nowhere.exists()


def test_a_home_that_depends_on_where_one_is(
    local: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path works, and the whole one that it means here is told with a warning."""
    whole = home()
    monkeypatch.chdir(whole.parent)
    monkeypatch.setenv("DAENA_KMS_HOME", whole.name)
    found = local.odd()["settings: home"]
    assert found.status is Status.WARNING
    assert f"is here {whole}," in found.found


def test_a_store_that_is_empty(local: Patient) -> None:
    """A file cut to nothing is told, and no new store is made of it."""
    for path in home().glob("keys.db*"):
        path.unlink()
    (home() / "keys.db").touch()
    odd = local.odd()
    assert odd["store"].status is Status.WRONG
    assert "keys.db is empty" in odd["store"].found
    assert "keys.id says that there was one" in odd["store"].found
    assert "backup" in odd["store"].todo
    assert not (home() / "keys.db").stat().st_size


def test_a_store_that_can_t_be_looked_at(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of somebody else's is told; root alone is never refused, so it is a loop here."""
    loop = home().with_name("loop")
    loop.symlink_to(loop)
    monkeypatch.setenv("DAENA_KMS_HOME", str(loop))
    odd = local.odd()
    assert odd["store"].status is Status.WRONG
    assert "can't be read: Too many levels of symbolic links" in odd["store"].found
    assert "check" in odd["store"].todo.lower()


def test_a_store_that_was_put_back(local: Patient) -> None:
    """An older copy of it is told, as a run that changes it would refuse it."""
    copy = home().with_name("copy")
    shutil.copytree(home(), copy)
    local.create("later-key", **{"daena.spec": "token"})
    local.schedule()
    shutil.rmtree(home())
    copy.rename(home())
    odd = local.odd()["store: age"]
    assert odd.status is Status.WRONG
    assert "is older than the audit log" in odd.found
    assert "newest copy" in odd.todo


def test_a_store_that_others_can_write(local: Patient) -> None:
    """Where the folder lets them in. With a umask of 002 its mode alone means nothing."""
    name, path = "permission on the folder: others", home() / "keys.db"
    for folder, file, wrong in (
        (0o700, 0o666, False),
        (0o750, 0o664, True),
        (0o701, 0o664, False),
        (0o711, 0o646, True),
        (0o755, 0o644, False),
    ):
        home().chmod(folder)
        path.chmod(file)
        found = local.odd().get(name)
        assert (found is not None) is wrong
        assert found is None or found.todo == f"Run: chmod go-w {path}"


def test_a_master_key_that_others_can_read(local: Patient) -> None:
    """It is wrong, and chmod mends it."""
    path = home() / "master.key"
    path.chmod(0o640)
    odd = local.odd()
    assert odd[NAME].status is Status.WRONG
    assert "mode 640" in odd[NAME].found
    assert odd[NAME].todo == f"Run: chmod 600 {path}"


def test_a_master_key_that_is_gone(local: Patient) -> None:
    """It is told with what to do, and none is made."""
    path = home() / "master.key"
    path.unlink()
    odd = local.odd()
    assert "backup" in odd[NAME].todo
    assert odd["keys: list"].status is Status.WRONG
    assert not path.exists()


def test_a_master_key_that_can_t_be_looked_at(local: Patient) -> None:
    """It is not called missing: root alone is never refused, so it is a loop here."""
    path = home() / "master.key"
    path.unlink()
    path.symlink_to(path)
    found = local.odd()[NAME]
    assert found.status is Status.UNKNOWN
    assert "Too many levels of symbolic links" in found.found


def test_a_master_key_of_another_user(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is wrong, and chown mends it."""
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert "chown 4711" in local.odd()[NAME].todo


def test_a_master_key_in_the_environment(tmp_path: Path) -> None:
    """There is no file to look at."""
    given = base64.b64encode(secrets.token_bytes(32)).decode()
    (found,) = LocalExam(tmp_path, given).encryption()
    assert found.status is Status.OK
    assert given not in found.found


def test_a_folder_that_others_can_write(local: Patient) -> None:
    """They could put another store into its place."""
    home().chmod(0o777)
    odd = local.odd()
    assert odd["permission on the folder: others"].todo == f"Run: chmod go-w {home()}"


def test_a_folder_that_can_t_be_written(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as such; root alone is never refused, so the answer is the test's."""
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "this user can't read and write" in local.odd()["permission on the folder"].found


def test_a_file_that_can_t_be_written(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder alone is not enough."""
    monkeypatch.setattr("os.access", lambda path, _mode: path != home() / "keys.db")
    found = local.odd()["permission on the folder"]
    assert found.status is Status.WRONG
    assert f"can't read and write {home() / 'keys.db'}" in found.found


def test_no_settings_at_all(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing set both settings are wrong, and each says which variable to set."""
    for name in ("DAENA_KMS_HOME", "DAENA_KMS_AUDIT_URL"):
        monkeypatch.delenv(name)
    odd = local.odd()
    assert odd.keys() == {"settings: store", "settings: audit log"}
    assert "DAENA_KMS_HOME" in odd["settings: store"].todo
    assert "DAENA_KMS_AUDIT_URL" in odd["settings: audit log"].todo


def test_changes_that_are_switched_off(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause is a warning, and a mistyped one is wrong."""
    monkeypatch.setenv("DAENA_KMS_PAUSED", "true")
    assert "switched off" in local.odd()["settings: changes"].found
    monkeypatch.setenv("DAENA_KMS_PAUSED", "yes")
    found = local.odd()["settings: changes"]
    assert (found.status, found.todo) == (Status.WRONG, "Write true or false")


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        ("40", Status.WARNING, "DAENA_KMS_MIN_BITS allows values of 40 bits of entropy"),
        ("111", Status.WARNING, "DAENA_KMS_MIN_BITS allows values of 111 bits of entropy"),
        ("none", Status.WRONG, "DAENA_KMS_MIN_BITS is 'none'"),
    ],
)
def test_values_that_are_easy_to_guess(
    local: Patient, monkeypatch: pytest.MonkeyPatch, text: str, status: Status, found: str
) -> None:
    """What a deployment has allowed on purpose is a warning; the usual minimum is none."""
    monkeypatch.setenv("DAENA_KMS_MIN_BITS", text)
    check = local.odd()["settings: bits"]
    assert (check.status, check.found) == (status, found)
    monkeypatch.setenv("DAENA_KMS_MIN_BITS", "112")
    assert "settings: bits" not in local.odd()


@pytest.mark.parametrize(
    ("url", "allowed", "status"),
    [
        ("https://localhost/events", "localhost", Status.OK),
        ("https://localhost/events", "", Status.WRONG),
        ("http://example.com/", "", Status.WRONG),
    ],
)
def test_the_endpoint(
    local: Patient, monkeypatch: pytest.MonkeyPatch, url: str, allowed: str, status: Status
) -> None:
    """It must be one that events may be sent to; nothing is sent."""
    monkeypatch.setenv("DAENA_KMS_ENDPOINT", url)
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    monkeypatch.setenv("DAENA_KMS_ENDPOINT_SECRET", f"whsec_{secret}")
    if allowed:
        monkeypatch.setenv("DAENA_KMS_ENDPOINT_ALLOW", allowed)
    found = local.checks()["settings: notifications"]
    assert found.status is status
    assert secret not in found.found + found.todo


def test_an_endpoint_that_has_no_address(local: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the name service does not answer, nothing is known of it."""

    def look_up(*_asked: object) -> list[str]:
        raise OSError

    monkeypatch.setattr("daena_kms.notify.wire.look_up", look_up)
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    monkeypatch.setenv("DAENA_KMS_ENDPOINT_SECRET", f"whsec_{secret}")
    monkeypatch.setenv("DAENA_KMS_ENDPOINT", "https://example.com/")
    assert local.odd()["settings: notifications"].status is Status.UNKNOWN


def test_a_key_that_somebody_tagged(local: Patient) -> None:
    """It is told before a run enrols it, and one that no run may enrol is wrong."""
    store = LocalAdapter(home()).store
    for key_id, tags in (("told-key", {"daena.spec": "token"}), ("bare-key", {})):
        store.create(key_id, secrets.token_urlsafe(), {}, datetime.now(UTC))
        store.tag(store.describe(key_id), {"daena.managed": "true", **tags})
    odd = local.odd()
    assert odd["key told-key"].status is Status.WARNING
    assert "the next run enrols it: enrolled by tag" in odd["key told-key"].found
    assert "daena-kms adopt told-key --spec SPEC" in odd["key told-key"].todo
    assert odd["key bare-key"].status is Status.WRONG
    assert "daena-kms adopt bare-key --spec SPEC" in odd["key bare-key"].todo
