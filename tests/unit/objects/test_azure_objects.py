"""Objects in Blob Storage: only if absent, by token or key, in whichever cloud, denied or away."""

import secrets
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore.store
import pytest
from azure.core.credentials import AccessToken
from daena_kms.audit.reader import read_tail
from daena_kms.audit.verify import verify
from daena_kms.errors import ConfigError
from daena_kms.objects.address import Access, open_objects
from daena_kms.objects.azure import SCOPE, azure_objects
from daena_kms.objects.base import AUDIT, CLAIMS, AlreadyExists, Objects
from daena_kms.sdk.azure.login import Login

from infra.local.azure.auth import ADD_BLOB, READ_BLOB
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from tests.unit.logs import Hands, write_run
from tests.unit.objects.azure_logs import opened
from tests.worlds.memory import START

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from tests.worlds.servers import LocalBlobs

NAME = "log/2026/03/01/12/run/000000.json"


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """An account with the containers ``audit`` and ``claims``, which takes tokens alone."""
    with AzureSimulator() as simulator:
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", simulator.blob_url)
        yield simulator


@pytest.fixture(params=["token", "key"])
def log(
    request: pytest.FixtureRequest, sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> Objects:
    """A log by token in the stand-in, or by the account's key in azurite."""
    if request.param == "token":
        return opened(sim)
    blobs: LocalBlobs = request.getfixturevalue("local_blobs")
    container = f"c{secrets.token_hex(8)}"
    blobs.create_container(container)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", blobs.blob_url)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", blobs.key)
    address = f"az://{blobs.account}/{container}/some/where"
    return open_objects(address, AUDIT, Access(login=Login({}, credential=Unused())))


class Unused:
    """A credential that nobody may ask."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Fail."""
        raise AssertionError


def nobody() -> "TokenCredential":
    """Fail where no credential may be asked for."""
    raise AssertionError


def test_what_was_put_is_read_and_listed(log: Objects) -> None:
    """An object has its bytes and a date; what is not there is None or empty."""
    older = "log/2025/03/01/12/run/000000.json"
    assert (log.get(NAME), log.entries("log/"), log.children("log/")) == (None, [], [])
    log.put_new(NAME, b"one")
    log.put_new(older, b"")
    assert (log.get(NAME), log.get(older)) == (b"one", b"")
    assert [entry.name for entry in log.entries("log/")] == [older, NAME]
    assert [entry.name for entry in log.entries("log/2026/")] == [NAME]
    assert all(entry.modified.utcoffset() == timedelta() for entry in log.entries("log/"))
    assert log.children("log/") == ["2025", "2026"]


def test_an_object_is_created_once(log: Objects) -> None:
    """The second put finds it there, and nothing has changed."""
    log.put_new(NAME, b"one")
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"two")
    assert log.get(NAME) == b"one"


def test_a_run_is_written_read_and_verified(log: Objects) -> None:
    """What the file log does, Blob Storage does."""
    clock = Hands(START)
    write_run(log, clock)
    clock.pass_(minutes=5)
    prefix = write_run(log, clock, closing=False)
    assert list(read_tail(log).unreported) == [prefix]
    assert verify(log).ok


def test_the_prefix_is_above_the_names(sim: AzureSimulator) -> None:
    """An object is below the address's own folders, and a put is one call with its condition."""
    opened(sim).put_new(NAME, b"one")
    opened(sim, "claims", CLAIMS).put_new("vault/key/none/0", b"two")
    assert list(sim.blobs.containers["audit"]) == [f"some/where/{NAME}"]
    assert list(sim.blobs.containers["claims"]) == ["vault/key/none/0"]
    assert [call.params["if-none-match"] for call in sim.calls] == ["*", "*"]


def test_more_objects_than_a_page_holds_are_listed(sim: AzureSimulator) -> None:
    """A listing goes on over the service's pages."""
    log = opened(sim)
    log.put_new("log/000000/x.json", b"")
    (made,) = sim.blobs.containers["audit"].values()
    for number in range(5001):
        sim.blobs.containers["audit"][f"some/where/log/{number:06}/x.json"] = made
    assert len(log.entries("log/")) == 5001
    assert len(log.children("log/")) == 5001


def test_a_token_is_asked_for_storage_and_kept(sim: AzureSimulator) -> None:
    """One token, for storage, serves many calls."""
    credential = sim.credential()
    log = opened(sim, credential=credential)
    for number in range(5):
        log.put_new(f"log/{number}", b"")
    assert credential.asked == [SCOPE]


def test_two_data_actions_are_enough(sim: AzureSimulator) -> None:
    """Reading and adding: nothing that overwrites or deletes is asked for."""
    sim.roles.assign("adder", (READ_BLOB, ADD_BLOB), "container/audit")
    log = opened(sim, credential=sim.credential("adder"))
    log.put_new(NAME, b"one")
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"two")
    assert (log.get(NAME), len(log.entries("")), log.children("")) == (b"one", 1, ["log"])
    # Also where the account looks at the permission to overwrite before the condition.
    sim.blobs.overwrite_checked_first = True
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, b"three")
    log.put_new(f"{NAME}x", b"four")


@pytest.mark.parametrize(
    ("account", "environ", "config"),
    [
        (
            "account",
            {},
            {"account_name": "account", "endpoint": "https://account.blob.core.windows.net"},
        ),
        (
            "account.blob.core.chinacloudapi.cn",
            {},
            {
                "account_name": "account",
                "endpoint": "https://account.blob.core.chinacloudapi.cn",
            },
        ),
        (
            "account.blob.core.usgovcloudapi.net",
            {"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/account"},
            {"account_name": "account", "endpoint": "http://127.0.0.1:1/account"},
        ),
    ],
    ids=["the public cloud", "another cloud", "an emulator"],
)
def test_whose_host_is_used(
    account: str,
    environ: dict[str, str],
    config: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account's whole host is taken as it is, over TLS; only an emulator goes without."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(obstore.store, "AzureStore", lambda _name, **options: given.append(options))
    azure_objects("az://x", account, "audit", "", credential=nobody, environ=environ)
    (options,) = given
    # What the library would take from the environment by itself is switched off.
    off = {"use_emulator": False, "use_fabric_endpoint": False, "skip_signature": False}
    assert options["config"] == config | off
    assert options["client_options"]["allow_http"] is bool(environ)
    assert options["prefix"] is None


def test_what_is_not_installed_is_named(
    sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without obstore, Azure is refused with what to install, and for what."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    for use in (AUDIT, CLAIMS):
        with pytest.raises(ConfigError, match=rf"{use.label}.*pip install 'daena-kms\[azure\]'"):
            opened(sim, use=use)


def test_without_a_login_the_environment_says_who_we_are(
    sim: AzureSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at on first use and not before."""
    for name, text in sim.environment.items():
        monkeypatch.setenv(name, text)
    log = open_objects(f"az://{ACCOUNT}/audit", AUDIT, Access())
    assert len(sim.calls) == 0
    log.put_new(NAME, b"one")
    assert sim.calls.operations() == ["GetToken", "PutBlob"]
