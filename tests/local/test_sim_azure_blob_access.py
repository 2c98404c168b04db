"""Who may do what with the simulated Blob Storage: tokens and role assignments."""

import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import AzureStore

from infra.local.azure import auth
from infra.local.azure.blob import ACCOUNT
from infra.local.azure.sim import AzureSimulator
from tests.local.azure_wire import BLOCK, blobs, code, to_blobs, token


@pytest.fixture
def audit(azure: AzureSimulator) -> AzureStore:
    """The container of the log, for its owner."""
    return blobs(azure)


def test_a_role_to_add_neither_overwrites_nor_deletes(
    azure: AzureSimulator, audit: AzureStore
) -> None:
    """A custom role for a log: read and add."""
    azure.roles.assign("logger", {auth.READ_BLOB, auth.ADD_BLOB}, auth.container("audit"))
    logger = blobs(azure, principal="logger")
    logger.put("log/1", b"first", mode="create")
    logger.put("log/2", b"first")
    assert logger.get("log/1").bytes() == b"first"
    with pytest.raises(AlreadyExistsError):
        logger.put("log/1", b"second", mode="create")
    with pytest.raises(PermissionDeniedError):
        logger.put("log/1", b"second")
    # A batch succeeds as a whole; the refusal is in its part.
    with pytest.raises(GenericError, match="403"):
        logger.delete("log/1")
    with pytest.raises(PermissionDeniedError):
        blobs(azure, "claims", "logger").put("claim", b"")
    assert audit.get("log/1").bytes() == b"first"
    azure.blobs.overwrite_checked_first = True
    with pytest.raises(PermissionDeniedError):
        logger.put("log/1", b"second", mode="create")
    outcomes = [call.outcome for call in azure.calls if call.principal == "logger"]
    mismatch, overwrite = "AuthorizationPermissionMismatch", "UnauthorizedBlobOverwrite"
    assert outcomes == [
        *["ok"] * 3,
        "BlobAlreadyExists",
        overwrite,
        mismatch,
        mismatch,
        overwrite,
    ]


@pytest.mark.parametrize("allowed", ["GET", "LIST", "PUT", "DELETE"])
def test_each_operation_takes_an_action(
    azure: AzureSimulator, audit: AzureStore, allowed: str
) -> None:
    """Reading and listing one, writing another, deleting a third."""
    actions = {"PUT": auth.WRITE_BLOB, "DELETE": auth.DELETE_BLOB}
    action = actions.get(allowed, auth.READ_BLOB)
    audit.put("log/1", b"first")
    azure.roles.assign("alone", {action}, auth.container("audit"))
    paths = {"LIST": ("GET", "/audit?restype=container&comp=list")}
    headers = BLOCK | token(azure, auth.BLOB_AUDIENCE, "alone")
    for name in ("GET", "LIST", "PUT", "DELETE"):
        method, path = paths.get(name, (name, "/audit/log/1"))
        body = "second" if name == "PUT" else None
        status = to_blobs(azure, method, path, body, headers).status
        assert (status < 300) == (actions.get(name, auth.READ_BLOB) == action)


def test_a_stranger_learns_nothing(azure: AzureSimulator) -> None:
    """Not whether a container is there, either."""
    for container in ("audit", "other"):
        with pytest.raises(PermissionDeniedError):
            blobs(azure, container, "stranger").get("log/1")


@pytest.mark.parametrize(
    ("path", "given", "status", "expected"),
    [
        ("/audit/x", "", 401, "NoAuthenticationInformation"),
        ("/audit/x", f"SharedKey {ACCOUNT}:c2ln", 403, "KeyBasedAuthenticationNotPermitted"),
        ("/audit/x?sv=1&sig=c2ln", "", 403, "KeyBasedAuthenticationNotPermitted"),
        ("/audit/x", "Bearer nonsense", 401, "InvalidAuthenticationInfo"),
    ],
    ids=["anonymous", "key", "signature", "nonsense"],
)
def test_only_tokens_are_taken(
    azure: AzureSimulator, path: str, given: str, status: int, expected: str
) -> None:
    """Nobody comes in without one, with the account's key, or with a signature in the address."""
    answer = to_blobs(azure, "GET", path, headers={"Authorization": given})
    assert (answer.status, code(answer)) == (status, expected)
    challenged = answer.headers.get("www-authenticate", "")
    assert ("resource_id=https://storage.azure.com" in challenged) == (status == 401)
    assert [call.principal for call in azure.calls] == [""]


def test_a_token_for_the_vault_is_not_for_blobs(azure: AzureSimulator) -> None:
    """The audience is checked."""
    with pytest.raises(UnauthenticatedError):
        blobs(azure, audience=auth.VAULT_AUDIENCE).put("log/1", b"")
