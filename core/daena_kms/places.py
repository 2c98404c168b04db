"""Where the service finds its log, its manifests and its signing key: on first use."""

import functools
from pathlib import Path

from daena_kms.audit import open_log
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.manifests import Chain, Signer, load_signer
from daena_kms.manifests.signing import VARIABLE
from daena_kms.objects.base import Objects, Use
from daena_kms.objects.files import FileObjects
from daena_kms.settings import Settings

MANIFESTS = Use("the manifests' folder", AuditUnavailable)


class Places:
    """What is given, or else what the environment says. Nothing is opened before it is used."""

    def __init__(
        self,
        *,
        log: Objects | None,
        local: bool,
        folder: str | Path | None,
        signing_key: Signer | str | Path | None,
    ) -> None:
        self._settings = Settings.load()
        self._given_log = log
        self._local = local
        self._folder = Path(folder).expanduser().absolute() if folder is not None else None
        self._signing_key = signing_key

    @functools.cached_property
    def log(self) -> Objects | None:
        """The audit log, if there is one: given, set, or beside the keys of the local store."""
        if self._given_log is not None:
            return self._given_log
        if self._settings.get("DAENA_KMS_AUDIT_URL") is not None:
            return open_log()
        if self._local:
            return open_log((self._settings.home.absolute() / "audit").as_uri())
        return None

    @property
    def needed_log(self) -> Objects:
        """The audit log. Raises :class:`ConfigError` when there is none: no store changes then."""
        return open_log() if self.log is None else self.log

    @functools.cached_property
    def chain(self) -> Chain:
        """The manifests: in the audit log's place if there is one, else in a folder."""
        if self.log is not None:
            if self._folder is not None:
                msg = f"manifests are kept with the audit log {self.log.url}, not in {self._folder}"
                raise ConfigError(msg, todo="Pass no folder")
            return Chain(self.log)
        if self._folder is None and self._home is None:
            todo = "Set DAENA_KMS_AUDIT_URL, or DAENA_KMS_HOME to a folder of your own"
            raise ConfigError("manifests have no place", todo=todo)
        folder = self._folder or self._settings.home.absolute() / "manifests"
        return Chain(FileObjects(folder, MANIFESTS), prefix="")

    @functools.cached_property
    def signer(self) -> Signer:
        """Who signs: given, or ``DAENA_KMS_SIGNING_KEY``, or a file in ``DAENA_KMS_HOME``."""
        if isinstance(self._signing_key, Signer):
            return self._signing_key
        given = self._signing_key or self._settings.get(VARIABLE)
        return load_signer(str(given) if given is not None else None, self._home)

    @property
    def _home(self) -> Path | None:
        return self._settings.home if self._settings.get("DAENA_KMS_HOME") else None
