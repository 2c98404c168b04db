"""Log in to Google Cloud, for the secrets and the audit log, and find the project."""

import functools
import os
import re
import threading
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.errors import not_installed, read_date
from daena_kms.sdk.gcp.refusals import CREDENTIALS, NO_CREDENTIALS, refused
from daena_kms.sdk.quiet import quiet, watch
from daena_kms.sdk.transport import BUNDLES, bundle_in

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["CREDENTIALS", "GOOGLE", "NO_CREDENTIALS", "SCOPE", "GcpLogin"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: Google Cloud's own domain. https://cloud.google.com/docs/overview/universe-domain
GOOGLE = "googleapis.com"
_UNIVERSE = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII)
#: https://cloud.google.com/resource-manager/docs/creating-managing-projects, old ones with a domain
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
#: The errors that a malformed credentials file ends in.
_BROKEN = (ValueError, KeyError, TypeError, AttributeError)


class GcpLogin:
    """The credentials of one process, made on first use.

    A credentials file where one is given (``credentials_path`` or
    ``GOOGLE_APPLICATION_CREDENTIALS``), read by us and passed on, so that the process's
    environment stays as it is; otherwise Application Default Credentials.

    https://cloud.google.com/docs/authentication/application-default-credentials
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        project_id: str | None = None,
        credentials_path: str | None = None,
        credentials: "Credentials | None" = None,
    ) -> None:
        self._project = project_id or environ.get("GCP_PROJECT_ID") or None
        if self._project is not None and _PROJECT.fullmatch(self._project) is None:
            msg = f"{self._project[:80]!r} is not a project"
            raise ConfigError(msg, todo="Set GCP_PROJECT_ID to a project's id or number")
        self._path = credentials_path or environ.get("GOOGLE_APPLICATION_CREDENTIALS") or None
        self._credentials = credentials
        self._universe = environ.get(_UNIVERSE) or None
        if self._universe is not None and _DOMAIN.fullmatch(self._universe) is None:
            todo = f"Write a domain such as {GOOGLE}, or unset it"
            raise ConfigError(f"{_UNIVERSE} is not a domain", todo=todo)
        self._lock = threading.RLock()

    @property
    def project(self) -> str:
        """The project, as set or as the environment that we run in says.

        Raises :class:`ConfigError`.
        """
        if self._project is None:
            self.credentials()
        if self._project is None:
            raise ConfigError("no project is set", todo="Set GCP_PROJECT_ID")
        return self._project

    @property
    def universe(self) -> str:
        """The domain of Google's services: the environment's, or the credentials file's.

        Raises:
            ConfigError: The credentials file can't be used.
        """
        if self._universe is not None:
            return self._universe
        if self._path is None:  # asking the platform would take a call
            return GOOGLE
        found: Any = self.credentials()
        return str(getattr(found, "universe_domain", None) or GOOGLE)

    def credentials(self) -> "Credentials":
        """Return the credentials. Raises :class:`ConfigError` when there are none."""
        with self._lock:
            if self._credentials is None:
                self._credentials, ambient = self._load()
                self._project = self._project or ambient
                watch("google", "urllib3")
            return self._credentials

    def token(self) -> tuple[str, datetime]:
        """Return an access token and the time until which it may be used."""
        with self._lock:
            credentials: Any = self.credentials()
            from google.auth.exceptions import GoogleAuthError
            from google.auth.transport.requests import Request

            times: list[datetime | None] = []

            def ask(*given: Any, **named: Any) -> Any:
                """Send a request, and note the time in its answer, which the SDK drops."""
                answer: Any = request(*given, **named)
                times.append(read_date(getattr(answer, "headers", {}).get("date")))
                return answer

            request: Any = Request()
            try:
                with quiet():
                    if not credentials.valid:
                        credentials.refresh(ask)
            except (GoogleAuthError, OSError, *_BROKEN) as error:
                ours = refused(error, None, times[-1] if times else None)
                raise ours from None
            expiry = credentials.expiry
            if expiry is None:
                return str(credentials.token), datetime.now(UTC) + timedelta(minutes=10)
            return str(credentials.token), expiry.replace(tzinfo=UTC)

    def _load(self) -> "tuple[Credentials, str | None]":
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError
        except ModuleNotFoundError:
            raise not_installed("the Google Cloud SDK", "gcp") from None
        bundle_in(os.environ, *BUNDLES)  # the SDK would say that nobody answers
        try:
            with quiet():
                load: Any = google.auth.default
                if self._path is not None:
                    load = functools.partial(google.auth.load_credentials_from_file, self._path)
                with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                    # The SDK warns of files that may not be the operator's own.
                    loaded = load(scopes=[SCOPE])
        except (GoogleAuthError, OSError, *_BROKEN) as error:
            ours = refused(error)
        else:
            credentials, project = loaded
            return credentials, project
        # Raised out here, and so not chained: the SDK's error may quote the file with the key.
        raise ours
