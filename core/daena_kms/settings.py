"""The settings in the environment, read in one place."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from daena_kms.errors import ConfigError, Paused
from daena_kms.rules.durations import parse_duration
from daena_kms.rules.policy import Defaults

#: Every provider, with the variables that point to it when none is named.
_HINTS = {
    "aws": ("AWS_KMS_KEY_ID",),
    "azure": ("AZURE_KEY_VAULT_URL",),
    "gcp": ("GCP_PROJECT_ID",),
    "local": ("DAENA_KMS_HOME",),
}
PROVIDERS = tuple(_HINTS)

#: The longest number that a variable may hold.
_MAX_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment's settings; values that are empty count as not set."""

    environ: Mapping[str, str]

    def __repr__(self) -> str:
        # Variables hold passwords, tokens and keys, and so may an address among them.
        return f"{type(self).__name__}({len(self.environ)} variables)"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of ``environ``, by default the process's environment."""
        return cls(os.environ if environ is None else environ)

    def get(self, name: str) -> str | None:
        """Return a variable, or ``None`` when it is not set or empty."""
        return self.environ.get(name) or None

    @property
    def provider(self) -> str:
        """The provider that ``DAENA_CLOUD_KMS_PROVIDER`` names, or that other variables point to.

        Raises:
            ConfigError: It is unknown, or the variables point to no provider or to several.
        """
        named = self.get("DAENA_CLOUD_KMS_PROVIDER")
        if named is not None:
            return check_provider(named)
        hinted = [p for p, names in _HINTS.items() if any(map(self.get, names))]
        if len(hinted) == 1:
            return hinted[0]
        found = f"the environment points to {' and '.join(hinted)}" if hinted else "none is set"
        msg = f"it is not clear which provider to use: {found}"
        todo = f"Set DAENA_CLOUD_KMS_PROVIDER, or pass one of {', '.join(PROVIDERS)}"
        raise ConfigError(msg, todo=todo)

    @property
    def provider_if_any(self) -> str | None:
        """The :attr:`provider`, or ``None`` when no variable names or points to one."""
        names = ("DAENA_CLOUD_KMS_PROVIDER", *(name for of in _HINTS.values() for name in of))
        return self.provider if any(map(self.get, names)) else None

    @property
    def defaults(self) -> Defaults:
        """The policy of keys whose tags say nothing."""
        return Defaults.from_environment(self.environ)

    @property
    def home(self) -> Path:
        """The local store's folder.

        Raises:
            ConfigError: ``DAENA_KMS_HOME`` is not set.
        """
        home = self.get("DAENA_KMS_HOME")
        if home is None:
            todo = "Set DAENA_KMS_HOME to a folder of your own, or pass home"
            raise ConfigError("the local store has no folder", todo=todo)
        return Path(home).expanduser()

    @property
    def audit_url(self) -> str:
        """The address of the audit log.

        Raises:
            ConfigError: ``DAENA_KMS_AUDIT_URL`` is not set.
        """
        url = self.get("DAENA_KMS_AUDIT_URL")
        if url is None:
            todo = "Set DAENA_KMS_AUDIT_URL, such as s3://bucket/prefix or file:///var/log/daena"
            raise ConfigError("no audit log is set, and nothing changes without one", todo=todo)
        return url

    @property
    def claims_url(self) -> str:
        """Where rotations on Azure are claimed: as set, or beside the audit log.

        Raises:
            ConfigError: Neither is set, or the place is not in Blob Storage.
        """
        url = self.get("DAENA_KMS_CLAIMS_URL")
        if url is not None:
            if not url.startswith("az://"):
                msg = f"DAENA_KMS_CLAIMS_URL is {url[:80]!r}, which is not in Blob Storage"
                raise ConfigError(msg, todo="Write a container: az://account/claims")
            return url
        audit = self.get("DAENA_KMS_AUDIT_URL") or ""
        account = re.match(r"az://([^/?#]+)/", audit)
        if account is None:
            msg = "no place for claims is set, and Key Vault by itself can't decide a race"
            todo = "Set DAENA_KMS_CLAIMS_URL, such as az://account/claims"
            raise ConfigError(msg, todo=todo)
        return f"az://{account[1]}/claims"

    def flag(self, name: str) -> bool:
        """Return a variable that is ``true`` or ``false`` (the default).

        Raises:
            ConfigError: It is another word.
        """
        text = self.get(name) or "false"
        if text not in {"true", "false"}:
            raise ConfigError(f"{name} is {text[:40]!r}", todo="Write true or false")
        return text == "true"

    def number(self, name: str) -> int | None:
        """Return a variable that is a whole number over 0, or ``None`` when it is not set.

        Raises:
            ConfigError: It is not such a number, or has more than seven digits.
        """
        text = self.get(name)
        if text is None:
            return None
        digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        if not digits or int(text) == 0:
            raise ConfigError(f"{name} is {text[:40]!r}", todo="Write a whole number over 0")
        return int(text)

    @property
    def paused(self) -> bool:
        """Whether all changes are switched off: ``DAENA_KMS_PAUSED=true``."""
        return self.flag("DAENA_KMS_PAUSED")

    def check_not_paused(self) -> None:
        """Refuse a change while all changes are switched off.

        Raises:
            Paused: ``DAENA_KMS_PAUSED`` is true.
        """
        if self.paused:
            todo = "Unset DAENA_KMS_PAUSED to allow them again; plan still works"
            raise Paused("changes are switched off", todo=todo)

    @property
    def min_interval(self) -> timedelta | None:
        """How old a version must be before HTTP may replace it: ``DAENA_KMS_MIN_INTERVAL``."""
        text = self.get("DAENA_KMS_MIN_INTERVAL")
        return parse_duration(text, "DAENA_KMS_MIN_INTERVAL", minutes=True) if text else None

    @property
    def operator(self) -> str:
        """Who runs this, for the audit log: ``DAENA_OPERATOR``, or the user and the machine."""
        named = self.get("DAENA_OPERATOR")
        if named is not None:
            return named
        import getpass
        import socket

        try:
            user = getpass.getuser()
        except (OSError, KeyError):
            user = f"uid {os.getuid()}"
        return f"{user}@{socket.gethostname()}"


def check_provider(provider: str) -> str:
    """Return ``provider`` if it is known.

    Raises:
        ConfigError: It is not.
    """
    if provider not in PROVIDERS:
        msg = f"{provider[:40]!r} is not a provider"
        raise ConfigError(msg, todo=f"Use one of {', '.join(PROVIDERS)}")
    return provider
