"""Blob Storage on loopback, as obstore sees it: what the audit log and the claims rely on."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from daena_kms.errors import ConfigError, StoreUnavailable
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError
from obstore.store import AzureStore

from infra.local.azure import azurite as azurite_module
from infra.local.azure.azurite import Azurite
from tests.worlds.servers import LocalBlobs, bearer

WRITERS = 20


def race(store: AzureStore, path: str) -> list[int]:
    """Let twenty threads create one object at once; return those that did."""
    together = Barrier(WRITERS)

    def create(number: int) -> bool:
        together.wait()
        try:
            store.put(path, str(number).encode(), mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(create, range(WRITERS)))
    return [number for number, won in enumerate(results) if won]


def test_create_if_absent_has_one_winner(local_blobs: LocalBlobs) -> None:
    """Of twenty that create one object, one does, nineteen are told, and its content stays."""
    local_blobs.create_container("race")
    store = local_blobs.store("race")
    (winner,) = race(store, "claims/key")
    assert bytes(store.get("claims/key").bytes()) == str(winner).encode()


def test_objects_are_listed_and_read(local_blobs: LocalBlobs) -> None:
    """A listing is sorted and sees what was just written; a delimited one names what is beneath."""
    local_blobs.create_container("listed")
    for path in ("log/2026/b.json", "log/2026/a.json", "log/2027/c.json", "log/top.json"):
        local_blobs.store("listed").put(path, path.encode(), mode="create")
    store = local_blobs.store("listed", prefix="log")
    assert [meta["path"] for batch in store.list() for meta in batch] == [
        "2026/a.json",
        "2026/b.json",
        "2027/c.json",
        "top.json",
    ]
    beneath = store.list_with_delimiter()
    assert sorted(beneath["common_prefixes"]) == ["2026", "2027"]
    assert [meta["path"] for meta in beneath["objects"]] == ["top.json"]
    assert [m["path"] for b in store.list(offset="2026/b.json") for m in b] == [
        "2027/c.json",
        "top.json",
    ]
    assert bytes(store.get("2026/a.json").bytes()) == b"log/2026/a.json"
    with pytest.raises(FileNotFoundError):
        store.get("2026/none.json")


def test_a_container_that_is_missing_or_there(local_blobs: LocalBlobs) -> None:
    """Objects need their container, and a container is made once."""
    with pytest.raises(FileNotFoundError):
        local_blobs.store("missing").put("object", b"", mode="create")
    local_blobs.create_container("once")
    with pytest.raises(StoreUnavailable, match="409 ContainerAlreadyExists"):
        local_blobs.create_container("once")


def test_another_key_is_refused(local_blobs: LocalBlobs) -> None:
    """The account's key is checked: a put is denied, a listing fails without saying so."""
    local_blobs.create_container("locked")
    store = local_blobs.store(
        "locked", credential_provider=lambda: {"access_key": Azurite().key, "expires_at": None}
    )
    with pytest.raises(PermissionDeniedError):
        store.put("object", b"", mode="create")
    with pytest.raises(GenericError, match="403"):
        list(store.list())


def test_the_key_may_come_from_a_provider(local_blobs: LocalBlobs) -> None:
    """Obstore asks a function for the key as it would for a token."""
    local_blobs.create_container("provided")
    store = local_blobs.store(
        "provided", credential_provider=lambda: {"access_key": local_blobs.key, "expires_at": None}
    )
    assert len(race(store, "object")) == 1


def test_a_token_is_refused_without_tls(local_blobs: LocalBlobs) -> None:
    """Obstore sends a token over HTTP where HTTP is allowed, and is refused as Azure would."""
    local_blobs.create_container("open")
    with pytest.raises(PermissionDeniedError):
        local_blobs.store("open", credential_provider=bearer).put("object", b"", mode="create")


def test_tokens_over_tls(local_blobs_tls: LocalBlobs) -> None:
    """With an authority of one's own and a provider of tokens, obstore asks once and then works."""
    local_blobs_tls.create_container("tokens")
    asked: list[None] = []

    def provide() -> object:
        asked.append(None)
        return bearer()

    store = local_blobs_tls.store("tokens", credential_provider=provide)
    assert len(race(store, "object")) == 1
    assert [meta["path"] for batch in store.list() for meta in batch] == ["object"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://vault.azure.net"}, {"iss": "https://example.com/"}, {"exp": 1}],
    ids=["audience", "issuer", "expired"],
)
def test_tokens_are_looked_at(local_blobs_tls: LocalBlobs, claims: dict[str, object]) -> None:
    """A token for another service, from elsewhere or out of date is refused."""
    store = local_blobs_tls.store("any", credential_provider=lambda: bearer(**claims))
    with pytest.raises(PermissionDeniedError):
        store.put("object", b"", mode="create")


def test_the_authority_must_be_trusted(local_blobs_tls: LocalBlobs) -> None:
    """Without the authority, obstore does not talk to it."""
    store = AzureStore(
        "any",
        config={
            "account_name": local_blobs_tls.account,
            "account_key": local_blobs_tls.key,
            "endpoint": local_blobs_tls.blob_url,
        },
        retry_config={"max_retries": 0},
    )
    with pytest.raises(GenericError, match="error sending request"):
        store.put("object", b"", mode="create")


def test_it_may_be_started_again() -> None:
    """The account and its key are the same; what was in it is gone."""
    server = Azurite()
    for _ in range(2):
        with server:
            assert server.url.endswith(f"/{server.account}")
            assert server.environment["AZURE_STORAGE_ENDPOINT"] == server.url
            server.create_container("again")


def test_it_says_that_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a clone there is no azurite, and the error says how to come by it."""
    monkeypatch.setattr(azurite_module, "_PROGRAM", "no-such-package/main.js")
    with pytest.raises(ConfigError, match="not installed"):
        Azurite().start()
