"""Where the service finds its log, its manifests and its signing key: on first use."""

import functools
import logging
from pathlib import Path

from daena_kms.audit import open_log
from daena_kms.errors import AuditUnavailable, ConfigError
from daena_kms.kms.manifests import Chain, Signer, load_signer
from daena_kms.kms.manifests.signing import VARIABLE
from daena_kms.objects.base import Objects, Use
from daena_kms.objects.files import FileObjects
from daena_kms.rules.text import shown
from daena_kms.settings import Settings, expand_home

logger = logging.getLogger("daena_kms")

#: In the user's home, where ``DAENA_KMS_HOME`` is not set.
HOME = ".daena-kms"
MANIFESTS = Use("the manifests' folder", AuditUnavailable)


class Places:
    """What the caller gives, or else what the environment says; opened only on first use."""

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
        self._folder = expand_home(folder, "the folder").absolute() if folder is not None else None
        self._signing_key = signing_key

    @functools.cached_property
    def log(self) -> Objects | None:
        """The audit log: given, set, or the folder ``audit`` in the home.

        ``None`` where a folder for manifests was asked for instead.
        """
        if self._given_log is not None:
            return self._given_log
        if self._settings.get("DAENA_KMS_AUDIT_URL") is not None:
            return open_log()
        if self._folder is not None:
            return None
        log = open_log((self._home / "audit").as_uri())
        if not self._local:
            # Nobody would look for it there, and other machines do not see it.
            logger.warning("DAENA_KMS_AUDIT_URL is not set: the audit log is %s", shown(log.url))
        return log

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
                raise ConfigError(msg, todo="Leave out the folder for manifests")
            return Chain(self.log)
        folder = self._folder or self._home / "manifests"
        return Chain(FileObjects(folder, MANIFESTS), prefix="")

    @functools.cached_property
    def signer(self) -> Signer:
        """Who signs: given, or ``DAENA_KMS_SIGNING_KEY``, or a file in ``DAENA_KMS_HOME``."""
        if isinstance(self._signing_key, Signer):
            return self._signing_key
        given = self._signing_key or self._settings.get(VARIABLE)
        return load_signer(None, self._home) if given is None else load_signer(str(given), None)

    @functools.cached_property
    def _home(self) -> Path:
        """The folder for everything that has no other place: ``DAENA_KMS_HOME``, or one at home."""
        if self._settings.get("DAENA_KMS_HOME") is not None:
            return self._settings.home
        try:
            return Path.home() / HOME
        except RuntimeError:
            todo = "Set DAENA_KMS_HOME to a folder of your own"
            raise ConfigError("this user has no home folder", todo=todo) from None
