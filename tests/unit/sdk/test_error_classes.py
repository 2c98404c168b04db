"""Every class of exceptions that the SDKs have is mapped on purpose: a table names each of them."""

import inspect
from types import ModuleType

import azure.core.exceptions
import azure.identity
import botocore.exceptions
import google.api_core.exceptions
import google.auth.exceptions
import grpc
import obstore.exceptions
import pytest
from daena_kms.errors import ConfigError, StoreUnavailable
from daena_kms.objects import failures
from daena_kms.sdk.aws import causes
from daena_kms.sdk.azure import errors as azure_errors
from daena_kms.sdk.errors import Meaning
from daena_kms.sdk.gcp import errors as gcp_errors
from daena_kms.sdk.gcp import refusals as gcp_refusals

#: Answers of a service, which are told apart by their codes, and warnings.
NOT_CLASSES = {
    "ClientError",
    "EventStreamError",
    "UnsupportedTLSVersionWarning",
    "ImminentRemovalWarning",
}


def classes(module: ModuleType) -> set[str]:
    """Return the names of the exceptions of a module."""
    found = (kind for _, kind in inspect.getmembers(module, inspect.isclass))
    return {kind.__name__ for kind in found if issubclass(kind, BaseException)}


def test_every_class_of_botocore() -> None:
    """None ends in a catch-all."""
    mapped = set(causes.CLASSES) | NOT_CLASSES
    assert classes(botocore.exceptions) - mapped == set()


def test_every_class_of_azure() -> None:
    """By class, by the status of the answer, or by what the login says."""
    mapped = {*azure_errors.CLASSES, *azure_errors.ANSWERS, *azure_errors.LOGINS}
    found = classes(azure.core.exceptions) | classes(azure.identity)
    assert found - mapped == set()


def test_every_class_of_google() -> None:
    """Calls, logins and connections."""
    found = classes(google.api_core.exceptions) | classes(grpc)
    assert found - set(gcp_errors.CLASSES) == set()
    assert classes(google.auth.exceptions) - set(gcp_refusals.CLASSES) == set()


def test_every_class_of_obstore() -> None:
    """And what it raises of Python's own, and a panic."""
    found = classes(obstore.exceptions) | {"PanicException", "FileNotFoundError", "ValueError"}
    assert found - set(failures.CLASSES) == set()


#: Only these may ask to check the network.
NETWORK = {
    "botocore": {
        *("ConnectionError", "EndpointConnectionError", "ConnectionClosedError", "WaiterError"),
        *("ConnectTimeoutError", "ReadTimeoutError", "TimeoutError", "gaierror"),
    },
    "azure": {
        *("ServiceRequestError", "ServiceRequestTimeoutError", "ServiceResponseError"),
        *("ServiceResponseTimeoutError", "AzureError", "OSError"),
    },
    "google": {
        *("ServiceUnavailable", "GatewayTimeout", "DeadlineExceeded", "RetryError"),
        *("FutureTimeoutError", "RequestException"),
    },
    "google.auth": {"TransportError", "TimeoutError", "ResponseError"},
}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("botocore", causes.CLASSES),
        ("azure", azure_errors.CLASSES),
        ("google", gcp_errors.CLASSES),
        ("google.auth", gcp_refusals.CLASSES),
    ],
)
def test_the_network_is_blamed_for_the_network(name: str, table: dict[str, Meaning]) -> None:
    """A setting, a login or a defect is called what it is."""
    blamed = {kind for kind, meaning in table.items() if "the network" in meaning.todo}
    assert blamed == NETWORK[name]
    assert all(issubclass(table[kind].error, StoreUnavailable) for kind in blamed)
    assert all(meaning.todo for meaning in table.values())


SETTINGS = [
    *("InvalidRegionError", "ConfigParseError", "ConfigNotFound", "ProfileNotFound"),
    *("InvalidConfigError", "EndpointVariantError", "EndpointResolutionError", "NoRegionError"),
    *("SSOTokenLoadError", "UnauthorizedSSOTokenError", "LoginRefreshRequired", "ValueError"),
    *("CredentialRetrievalError", "MetadataRetrievalError", "ParamValidationError", "OSError"),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_what_a_person_must_mend_is_a_setting(name: str) -> None:
    """It ends a command with 2, and no run tries it again and again."""
    assert causes.CLASSES[name].error is ConfigError
