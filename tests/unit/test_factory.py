"""Which adapter the environment leads to."""

from pathlib import Path

import pytest
from daena_kms.cloud_kms import LocalAdapter, get_cloud_kms_adapter
from daena_kms.errors import ConfigError

from tests.unit.keys import DAY
from tests.unit.local_keys import fingerprint, reading


def test_the_environment_leads_to_the_local_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a folder alone, by name or without, the local store in that folder is used."""
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path))
    first = fingerprint(get_cloud_kms_adapter().create_key("k"))
    for adapter in (get_cloud_kms_adapter("local"), LocalAdapter(tmp_path), LocalAdapter()):
        assert isinstance(adapter, LocalAdapter)
        assert reading(adapter, "k") == first


def test_the_adapter_takes_its_defaults_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed default is refused when the adapter is made, by its variable."""
    monkeypatch.setenv("DAENA_KMS_GRACE", "2d")
    assert LocalAdapter(tmp_path).defaults.grace == 2 * DAY
    monkeypatch.setenv("DAENA_KMS_GRACE", "soon")
    with pytest.raises(ConfigError, match=r"^DAENA_KMS_GRACE is 'soon', which is no duration"):
        LocalAdapter(tmp_path)


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("vault", r"^'vault' is no provider\. Use one of aws, azure, gcp, local"),
        ("", r"^'' is no provider\. Use one of aws"),
        ("Local", r"^'Local' is no provider\. Use one of aws"),
        ("local", r"^the local store has no folder\. Set DAENA_KMS_HOME"),
        (None, r"^which provider to use is not clear: none is set\. Set DAENA_CLOUD_KMS_PROVIDER"),
    ],
)
def test_no_adapter_is_made_of_nothing(provider: str | None, message: str) -> None:
    """An unknown provider, and a missing setting, are refused with what to do."""
    with pytest.raises(ConfigError, match=message):
        get_cloud_kms_adapter(provider)


def test_an_adapter_shows_nothing_of_its_store(tmp_path: Path) -> None:
    """An adapter's repr is its name alone."""
    assert repr(LocalAdapter(tmp_path)) == "LocalAdapter()"
