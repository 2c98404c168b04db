"""Azure's events and headers: what is taken from them, and what is refused."""

import json
import logging
from types import SimpleNamespace

import pytest
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum
from daena_kms.errors import ConfigError
from daena_kms.platforms.azure import (
    expiring_secret,
    function_app_caller,
    function_app_request,
    type_of_event,
)
from hypothesis import given
from hypothesis import strategies as st

NEAR = "Microsoft.KeyVault.SecretNearExpiry"
EVENT = {"VaultName": "my-vault", "ObjectType": "Secret", "ObjectName": "some-key", "Version": "1"}


@pytest.mark.parametrize(
    ("vault", "secret"),
    [("my-vault", "some-key"), ("My-Vault", "Some-KEY"), ("MY-VAULT", "SOME-KEY")],
)
def test_a_secret_that_is_near_its_expiry(vault: str, secret: str) -> None:
    """The key's id, whatever the case in which the vault and the secret were named."""
    event = EVENT | {"VaultName": vault, "ObjectName": secret}
    assert expiring_secret(NEAR, event, "my-vault") == "some-key"


@pytest.mark.parametrize(
    "kind",
    ["Microsoft.KeyVault.SecretExpired", "Microsoft.KeyVault.KeyNearExpiry", "", NEAR.upper()],
)
def test_an_event_of_another_type(kind: str) -> None:
    """The subscription sends what it should not, and whoever set it up is told."""
    with pytest.raises(ConfigError, match=r"the event has the type.*Subscribe to Microsoft\.KeyV"):
        expiring_secret(kind, EVENT, "my-vault")


def test_an_event_without_a_type() -> None:
    """As the host's library shows an event in a schema that it does not know."""
    with pytest.raises(ConfigError, match=r"the event has no type.*Subscribe to Microsoft\.KeyV"):
        expiring_secret(None, EVENT, "my-vault")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (SimpleNamespace(event_type=NEAR), NEAR),
        (SimpleNamespace(type=NEAR), NEAR),
        (SimpleNamespace(event_type=None, type=NEAR), NEAR),
        (SimpleNamespace(event_type=None), None),
        (SimpleNamespace(event_type=7, type=["x"]), None),
        (None, None),
    ],
    ids=range(6),
)
def test_the_type_of_an_event_in_either_schema(event: object, kind: str | None) -> None:
    """Event Grid's own calls it eventType, CloudEvents type."""
    assert type_of_event(event) == kind


@pytest.mark.parametrize(
    "sent",
    [
        {"eventType": NEAR, "data": EVENT},
        {"specversion": "1.0", "type": NEAR, "source": "/subscriptions/s", "data": EVENT},
    ],
    ids=["Event Grid", "CloudEvents"],
)
def test_an_event_as_the_host_passes_it_on(sent: dict[str, object]) -> None:
    """Through the library's own converter."""
    datum = Datum(json.dumps({"id": "1", "subject": "some-key", **sent}), "json")
    event = EventGridEventInConverter.decode(datum, trigger_metadata={})
    assert expiring_secret(type_of_event(event), event.get_json(), "my-vault") == "some-key"


@pytest.mark.parametrize("vault", ["other", "my-vault ", "my-vault.vault.azure.net", ""])
def test_an_event_of_another_vault(vault: str) -> None:
    """A key of the same name there is none of ours."""
    with pytest.raises(ConfigError, match="about another vault"):
        expiring_secret(NEAR, EVENT | {"VaultName": vault}, "my-vault")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        7,
        {},
        {"VaultName": "my-vault"},
        {"ObjectName": "some-key"},
        EVENT | {"ObjectName": 7},
        EVENT | {"VaultName": ["my-vault"]},
        EVENT | {"ObjectName": None},
    ],
    ids=str,
)
def test_an_event_that_names_nothing(data: object) -> None:
    """Whatever shape it has."""
    with pytest.raises(ConfigError, match="does not name a vault and a secret"):
        expiring_secret(NEAR, data, "my-vault")


@pytest.mark.parametrize(
    "secret", ["1st", "a_b", "key-", "k" * 101, "", "a/b", "\u017fome", "\u017f" * 999]
)
def test_a_secret_that_can_be_no_key(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over, which the log says without repeating what it is called."""
    caplog.set_level(logging.INFO)
    assert expiring_secret(NEAR, EVENT | {"ObjectName": secret}, "my-vault") is None
    assert caplog.messages == ["ignored an event about a secret that is not a managed key"]


def test_long_names_are_cut() -> None:
    """A message stays short, whoever sends events."""
    for event_type, data in (("x" * 9999, EVENT), (NEAR, EVENT | {"VaultName": "x" * 9999})):
        with pytest.raises(ConfigError) as caught:
            expiring_secret(event_type, data, "my-vault")
        assert len(str(caught.value)) < 400


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_data_of_any_shape(data: object) -> None:
    """Nothing but a refusal comes of it."""
    with pytest.raises(ConfigError):
        expiring_secret(NEAR, data, "my-vault")


ON = {"WEBSITE_AUTH_ENABLED": "True"}
HEADER = "X-MS-CLIENT-PRINCIPAL-ID"


@pytest.mark.parametrize(
    ("headers", "environ", "caller"),
    [
        ({}, {}, "function key"),
        ({HEADER: "somebody"}, {}, "function key"),
        ({HEADER: "somebody"}, {"WEBSITE_AUTH_ENABLED": "false"}, "function key"),
        ({HEADER: "somebody"}, {"WEBSITE_AUTH_ENABLED": ""}, "function key"),
        ({HEADER: "somebody"}, ON, "entra somebody"),
        ({HEADER.lower(): "somebody"}, ON, "entra somebody"),
        ({HEADER: ""}, ON, "function key"),
        ({}, ON, "function key"),
        ({"X-MS-CLIENT-PRINCIPAL-NAME": "somebody"}, ON, "function key"),
        ({HEADER: "x" * 999}, ON, f"entra {'x' * 200}"),
        ({HEADER: "somebody", "X-MS-CLIENT-PRINCIPAL-IDP": "aad"}, ON, "entra somebody"),
        ({HEADER: "somebody", "X-Ms-Client-Principal-Idp": "google"}, ON, "google somebody"),
        ({HEADER: "somebody", "X-MS-CLIENT-PRINCIPAL-IDP": "aad"}, {}, "function key"),
    ],
)
def test_who_calls_a_function(
    headers: dict[str, str], environ: dict[str, str], caller: str
) -> None:
    """Only where the platform guards the header does it name anybody."""
    assert function_app_caller(headers, environ) == caller


@pytest.mark.parametrize(
    ("route", "environ", "path"),
    [
        ({"path": "keys/app-key"}, {}, "/v1/keys/app-key"),
        ({"path": "health"}, {}, "/v1/health"),
        ({}, {}, "/v1/"),
        ({}, None, "/v1/health"),
        ({"path": "keys"}, None, "/v1/health"),
    ],
)
def test_the_address_of_a_request(
    route: dict[str, str], environ: dict[str, str] | None, path: str
) -> None:
    """The catch-all's own path, also where it is empty; the function for health has one alone."""
    request = SimpleNamespace(
        method="GET",
        url="https://app.azurewebsites.net/v1/keys?limit=1",
        headers={},
        route_params=route,
        get_body=lambda: b"",
    )
    found = function_app_request(request, "invocation", environ)
    assert (found.path, found.query) == (path, "limit=1")
