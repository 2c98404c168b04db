"""A user id that has no home folder, as containers use them."""

import os
import pwd
from pathlib import Path

import pytest
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import ConfigError
from daena_kms.kms import KeyManagementService
from daena_kms.settings import Settings


@pytest.fixture(autouse=True)
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No user has this number, and HOME is not set."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)


@pytest.mark.parametrize("folder", ["~/keys", "~", "~no-such-user/keys"])
def test_a_folder_at_a_home_that_is_not_there(folder: str) -> None:
    """Is refused by the name of the setting."""
    with pytest.raises(ConfigError, match=r"DAENA_KMS_HOME begins with ~.*Write the whole path"):
        _ = Settings({"DAENA_KMS_HOME": folder}).home
    with pytest.raises(ConfigError, match="home begins with ~"):
        LocalAdapter(folder)
    with pytest.raises(ConfigError, match="the folder begins with ~"):
        KeyManagementService(manifests=folder)


@pytest.mark.parametrize("home", ["", "x/y", "."])
def test_a_home_that_is_no_path(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """It counts as none: the store would be in the root, or wherever the command is run."""
    monkeypatch.setenv("HOME", home)
    with pytest.raises(ConfigError, match=r"DAENA_KMS_HOME begins with ~.*Write the whole path"):
        _ = Settings({"DAENA_KMS_HOME": "~/keys"}).home
    monkeypatch.undo()
    known = pwd.getpwuid(os.getuid()).pw_dir
    monkeypatch.setenv("HOME", home)
    assert Settings({"DAENA_KMS_HOME": "~/keys"}).home == Path(known, "keys")


def test_a_folder_that_needs_no_home(tmp_path: Path) -> None:
    """Works for anybody, and the operator is named by the number."""
    LocalAdapter(tmp_path).create_key("app-key")
    assert Settings({}).operator.startswith("uid 54321@")
