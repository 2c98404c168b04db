"""Resource names of Secret Manager: their forms, the endpoint they belong to, the error they cause.

Where a comment in these modules names a page without an address, it is below
cloud.google.com/secret-manager/docs; "the types" are the comments on the client's own types,
google.cloud.secretmanager_v1.types, which hold the reference of the API word by word.
"""

import re
from dataclasses import dataclass
from typing import Self

import grpc

PROJECT = "simulated-project"
PROJECT_NUMBER = "123456789012"

_PART = r"([^/]+)"
_PARENT = re.compile(rf"projects/{_PART}(?:/locations/{_PART})?")
_SECRET = re.compile(rf"projects/{_PART}(?:/locations/{_PART})?/secrets/{_PART}")
_VERSION = re.compile(rf"projects/{_PART}(?:/locations/{_PART})?/secrets/{_PART}/versions/{_PART}")


class GcpError(Exception):
    """An error as the service answers it; the message must not hold a value."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> GcpError:
    """Return the error for a request that no state of the service could satisfy."""
    return GcpError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(what: str) -> GcpError:
    """Return the error for a secret or version that does not exist."""
    return GcpError(grpc.StatusCode.NOT_FOUND, f"{what} not found.")


def precondition(message: str) -> GcpError:
    """Return the error for a request that the present state forbids."""
    return GcpError(grpc.StatusCode.FAILED_PRECONDITION, message)


@dataclass(frozen=True, slots=True)
class Parent:
    """A project, or a location in it; ``str`` gives the name with the project's number.

    Requests may name a project by its id or its number; answers always have the number.
    """

    project: str
    location: str | None

    def __str__(self) -> str:
        place = "" if self.location is None else f"/locations/{self.location}"
        return f"projects/{self.project}{place}"

    def secret(self, secret_id: str) -> str:
        """Return the name of a secret here."""
        return f"{self}/secrets/{secret_id}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read ``projects/*`` or ``projects/*/locations/*``."""
        project, location = _groups(_PARENT, name)
        return cls._of(project, location)

    @classmethod
    def of_secret(cls, name: str) -> tuple[Self, str]:
        """Read a secret's name; returns where it is, and its id."""
        project, location, secret_id = _groups(_SECRET, name)
        return cls._of(project, location), str(secret_id)

    @classmethod
    def of_version(cls, name: str) -> tuple[Self, str, str]:
        """Read a version's name; returns where its secret is, the secret's id, and the version."""
        project, location, secret_id, version = _groups(_VERSION, name)
        return cls._of(project, location), str(secret_id), str(version)

    @classmethod
    def _of(cls, project: str | None, location: str | None) -> Self:
        return cls(PROJECT_NUMBER if project == PROJECT else str(project), location)


def _groups(form: re.Pattern[str], name: str) -> tuple[str | None, ...]:
    match = form.fullmatch(name)
    if match is None:
        raise invalid(f"Resource name [{name}] does not have the form of this method.")
    return match.groups()
