"""Log in to Google Cloud, for the secrets and the audit log, and find the project."""

import functools
import re
import threading
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daena_kms.errors import ConfigError
from daena_kms.sdk.errors import Meaning, not_installed
from daena_kms.sdk.quiet import quiet, watch

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CREDENTIALS = (
    "Run as a service account, set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, "
    "or log in with gcloud auth application-default login"
)
NO_CREDENTIALS = Meaning(ConfigError, "no usable Google credentials ({name})", CREDENTIALS)
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

            try:
                with quiet():
                    if not credentials.valid:
                        credentials.refresh(Request())
            except GoogleAuthError as error:
                raise NO_CREDENTIALS.about(None, name=type(error).__name__) from None
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
        try:
            with quiet():
                load: Any = google.auth.default
                if self._path is not None:
                    load = functools.partial(google.auth.load_credentials_from_file, self._path)
                with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                    # The SDK warns of files that may not be the operator's own.
                    loaded = load(scopes=[SCOPE])
        except (GoogleAuthError, OSError, *_BROKEN) as error:
            name = type(error).__name__
        else:
            credentials, project = loaded
            return credentials, project
        # Raised out here, and so not chained: the SDK's error may quote the file with the key.
        raise NO_CREDENTIALS.about(None, name=name)
