"""The settings in the environment, read in one place.

A variable that is empty counts as not set. One with a quote, a space or a line end around its value
is refused by its name, and never quoted: it may be secret. Such values come from files that were
written on Windows, from a pasted line, or from quotes that a service passes on.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping
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

#: Variables whose value may have several lines: JSON, a key in PEM, a webhook's secrets.
_MANY_LINES = frozenset({"DAENA_KMS_ACCESS", "DAENA_KMS_SIGNING_KEY", "DAENA_KMS_ENDPOINT_SECRET"})
_QUOTES = frozenset("\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb")
#: The categories of characters that show nothing: spaces of every kind, controls, marks of order.
_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
#: Whose empty variables the SDKs would take for values. Proxies are not among them: there, an empty
#: ``https_proxy`` switches ``HTTPS_PROXY`` off, and every library reads it so.
_OF_SDKS = ("AWS_", "AZURE_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "IDENTITY_", "MSI_", "GRPC_")
_BUNDLES = frozenset({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"})


def what_is_wrong(name: str, value: str) -> str | None:
    """Return what stands around or in a variable's value that can't be meant, or ``None``."""
    text = value.strip("\n") if name in _MANY_LINES else value
    if "\r" in text:
        return "holds a carriage return, as lines of files from Windows do"
    if not text:
        return "holds nothing but line ends"
    for end in (text[0], text[-1]):
        if unicodedata.category(end) in _INVISIBLE:
            return "begins or ends with a space or another invisible character"
        if end in _QUOTES:
            return "has quotes around its value"
    inner = text.replace("\n", "").replace("\t", "") if name in _MANY_LINES else text
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in inner):
        return "holds a line end or a control character"
    return None


class Environment(Mapping[str, str]):
    """An environment in which empty variables are not set, and odd ones are refused when read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        #: The variables as they are.
        self.variables = variables

    def __getitem__(self, name: str) -> str:
        """Return a variable's value.

        Raises:
            KeyError: It is not set, or empty.
            ConfigError: Its value has quotes, spaces or line ends around it.
        """
        value = self.variables[name]
        if not value:
            raise KeyError(name)
        wrong = what_is_wrong(name, value)
        if wrong is not None:
            todo = f"Set {name} to the value alone, without quotes, spaces or line ends around it"
            raise ConfigError(f"{name} {wrong}", todo=todo)
        return value

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the variables that are set."""
        return (name for name, value in self.variables.items() if value)

    def __len__(self) -> int:
        """Return how many variables are set."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Show no value."""
        return f"{type(self).__name__}({len(self)} variables)"


def drop_empty(environ: MutableMapping[str, str] = os.environ) -> None:
    """Remove the SDKs' empty variables from a process's environment.

    The SDKs read the environment themselves and take ``AWS_PROFILE=`` for a profile without a name.
    Only a program that owns its process may do this, right at its start: the command line and the
    functions do. The adapters leave the environment alone and pass explicit values.
    """
    for name, value in list(environ.items()):
        if not value and (name.startswith(_OF_SDKS) or name in _BUNDLES):
            del environ[name]


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment's settings; values that are empty count as not set."""

    environ: Mapping[str, str]

    def __post_init__(self) -> None:
        """Let no variable be read unchecked."""
        if not isinstance(self.environ, Environment):
            object.__setattr__(self, "environ", Environment(self.environ))

    def __repr__(self) -> str:
        # Variables hold passwords, tokens and keys, and so may an address among them.
        return f"{type(self).__name__}({len(self.environ)} variables)"

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Return the settings of ``environ``, by default the process's environment."""
        return cls(os.environ if environ is None else environ)

    def get(self, name: str) -> str | None:
        """Return a variable, or ``None`` when it is not set or empty.

        Raises:
            ConfigError: Its value has quotes, spaces or line ends around it.
        """
        return self.environ.get(name) or None

    def is_empty(self, name: str) -> bool:
        """Return whether a variable is set, but to nothing."""
        return self._as_it_is(name) == ""

    def _as_it_is(self, name: str) -> str | None:
        """Return a variable unchecked, for those whose own form is stricter, or that are empty."""
        checked = self.environ
        return (checked.variables if isinstance(checked, Environment) else checked).get(name)

    @property
    def provider(self) -> str:
        """The provider that ``DAENA_CLOUD_KMS_PROVIDER`` names, or that other variables point to.

        Raises:
            ConfigError: It is unknown, or the variables point to no provider or to several.
        """
        named = self._as_it_is("DAENA_CLOUD_KMS_PROVIDER")
        if named:
            return check_provider(named, "DAENA_CLOUD_KMS_PROVIDER: ")
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
        """The local store's folder, as a whole path.

        A relative one is taken from the folder that the process is in now.

        Raises:
            ConfigError: ``DAENA_KMS_HOME`` is not set, or is not a folder's path.
        """
        home = self.get("DAENA_KMS_HOME")
        if home is None:
            todo = "Set DAENA_KMS_HOME to a folder of your own, or pass home"
            raise ConfigError("the local store has no folder", todo=todo)
        folder = expand_home(home, "DAENA_KMS_HOME")
        if not folder.name or ".." in folder.parts or "://" in home:
            msg = f"DAENA_KMS_HOME is {home[:80]!r}, which is not the path of a folder of your own"
            raise ConfigError(msg, todo="Write a path without .., such as /var/lib/daena")
        return folder.absolute()

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
    def seal_url(self) -> str | None:
        """The address of the place for seals, ``DAENA_KMS_SEAL_URL``; ``None`` for no seals."""
        return self.get("DAENA_KMS_SEAL_URL")

    @property
    def seal_keys(self) -> list[str]:
        """What ``DAENA_KMS_SEAL_KEY`` names: paths of PEM files and keys in a cloud's KMS."""
        return (self.get("DAENA_KMS_SEAL_KEY") or "").split()

    @property
    def seal_origin(self) -> str | None:
        """The name under which the log is sealed, by default the seals' address without its scheme.

        Raises:
            ConfigError: It is empty, or holds a space, a plus or what can't be printed.
        """
        address = self.seal_url
        if address is None:
            return None
        origin = self.get("DAENA_KMS_SEAL_ORIGIN") or address.partition("://")[2].rstrip("/")
        if not origin or not origin.isprintable() or re.search(r"[\s+]", origin):
            msg = f"the log can't be sealed as {origin[:80]!r}"
            todo = "Set DAENA_KMS_SEAL_ORIGIN to a name without spaces and +, like example.com/log"
            raise ConfigError(msg, todo=todo)
        return origin

    @property
    def checkpoint_copy(self) -> str | None:
        """Where checkpoints go as well, ``DAENA_KMS_CHECKPOINT_COPY``; ``None`` for nowhere."""
        return self.get("DAENA_KMS_CHECKPOINT_COPY")

    @property
    def claims_url(self) -> str:
        """Where rotations on Azure are claimed: as set, or beside the audit log.

        Raises:
            ConfigError: Neither is set, or the place is not in Blob Storage.
        """
        url = self.get("DAENA_KMS_CLAIMS_URL")
        if url is not None:
            if not url.startswith("az://"):
                # What may hold a signature or a password is not quoted.
                shown = "an address" if set("?#@") & set(url) else repr(url[:80])
                msg = f"DAENA_KMS_CLAIMS_URL is {shown}, which is not in Blob Storage"
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
        text = self._as_it_is(name) or "false"
        if text not in {"true", "false"}:
            raise ConfigError(f"{name} is {text[:40]!r}", todo="Write true or false")
        return text == "true"

    def number(self, name: str) -> int | None:
        """Return a variable that is a whole number over 0, or ``None`` when it is not set.

        Raises:
            ConfigError: It is not such a number, or has more than seven digits.
        """
        text = self._as_it_is(name)
        if not text:
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


def expand_home(path: str | Path, name: str) -> Path:
    """Return a path with ``~`` at its beginning replaced by a user's home folder.

    Args:
        path: The path.
        name: What to call it in a message.

    Raises:
        ConfigError: There is no such user, or the user has no home: containers may run as a number
            that no user has.
    """
    path = Path(path)
    try:
        if path.parts[:1] == ("~",) and not Path(os.environ.get("HOME", "")).is_absolute():
            # Python would take an empty HOME for the root, and a relative one as it is.
            return Path(_home_of_user(), *path.parts[1:])
        return path.expanduser()
    except RuntimeError:
        msg = f"{name} begins with ~, and this user has no home folder"
        raise ConfigError(msg, todo="Write the whole path, beginning with /") from None


def _home_of_user() -> Path:
    """Return the home folder that the system knows of this user; RuntimeError if it knows none."""
    import pwd

    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise RuntimeError from None
    if not home.is_absolute():
        raise RuntimeError
    return home


def check_provider(provider: str, where: str = "") -> str:
    """Return ``provider`` if it is known.

    Args:
        provider: A provider's name.
        where: The beginning of the message: the setting that names it.

    Raises:
        ConfigError: It is not.
    """
    if provider not in PROVIDERS:
        msg = f"{where}{provider[:40]!r} is not a provider"
        raise ConfigError(msg, todo=f"Use one of {', '.join(PROVIDERS)}")
    return provider
