"""The simulated secrets by name, what time does to them, and answers that lag behind them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

import grpc
from google.cloud.secretmanager_v1.types import Secret as SecretMessage
from google.cloud.secretmanager_v1.types import SecretVersion

from infra.local.gcp.names import PROJECT_NUMBER, GcpError, Parent, not_found, precondition
from infra.local.gcp.pages import Entry, Page, Question, fixed, page
from infra.local.gcp.state import DESTROYED, Secret, State, Version

type Clock = Callable[[], datetime]


class SecretStore(Mapping[str, Secret]):
    """The secrets by id, for a test to look at or to change behind our back.

    The id alone means a secret at the simulator's own location; the full name means any.
    """

    def __init__(self, clock: Clock, location: str | None) -> None:
        self.clock = clock
        self.by_name: dict[str, Secret] = {}
        self.add_changes_etag = False
        """Whether adding a version changes the secret's etag too.

        It does not: etags are "updated for each of the above-listed modification requests", of
        which addVersion is none, and "updating a secret version doesn't affect the secret ETag"
        (etags). A test sets this to show that nothing depends on it.
        """
        self.unusable_kms_keys: set[str] = set()
        """The KMS keys that a test has disabled, by their full names."""
        self._home = Parent(PROJECT_NUMBER, location)
        self._made = 0
        self._listing: list[Entry[SecretMessage]] | None = None
        self._versions: dict[str, list[Entry[SecretVersion]]] | None = None
        self._aliases: dict[str, dict[str, int]] | None = None
        self._states: dict[tuple[str, int], State] = {}

    def __getitem__(self, key: str) -> Secret:
        secret = self.lookup(key if "/" in key else self._home.secret(key))
        if secret is None:
            raise KeyError(key)
        return secret

    def __iter__(self) -> Iterator[str]:
        self.settle()
        return iter(list(self.by_name))

    def __len__(self) -> int:
        self.settle()
        return len(self.by_name)

    def next_sequence(self) -> int:
        """Return the number of the next secret in order of creation."""
        self._made += 1
        return self._made

    def settle(self) -> None:
        """Let what time brings come to pass for all secrets."""
        for name in list(self.by_name):
            self.lookup(name)

    def lookup(self, name: str) -> Secret | None:
        """Return a secret by its full name, as time has made it, if it is still there."""
        secret = self.by_name.get(name)
        if secret is None:
            return None
        now = self.clock()
        secret.settle(now)
        # "Expired secrets are irreversibly deleted" (the types).
        if secret.expire_time is not None and secret.expire_time <= now:
            del self.by_name[name]
            return None
        return secret

    def find(self, parent: Parent, secret_id: str) -> Secret:
        """Return a secret that must exist."""
        name = parent.secret(secret_id)
        secret = self.lookup(name)
        if secret is None:
            raise not_found(f"Secret [{name}]")
        return secret

    def find_version(self, parent: Parent, secret_id: str, version: str) -> tuple[Secret, Version]:
        """Return a version that must exist, by number, alias or ``latest``."""
        secret = self.find(parent, secret_id)
        number = int(version) if version.isdecimal() else self._aliased(secret).get(version)
        if number is None and version != "latest":  # measured (see checks)
            raise GcpError(
                grpc.StatusCode.NOT_FOUND, f"Secret [{secret.name}] has no alias [{version}]"
            )
        found = None if number is None else secret.versions.get(number)
        if found is None:
            raise not_found(f"Secret Version [{secret.name}/versions/{version}]")
        return secret, found

    def check_kms_keys(self, keys: Mapping[str, str]) -> None:
        """Refuse a call that needs a KMS key which can't be used.

        Measured (see ``checks``): FAILED_PRECONDITION, as for a version that is not enabled, when
        a version is added or accessed. The words are ours.
        """
        for name in sorted(self.unusable_kms_keys.intersection(keys.values())):
            raise precondition(f"The Cloud KMS key [{name}] is not enabled.")

    def freeze_listing(self) -> None:
        """Answer ListSecrets from the secrets as they are now, until ``unfreeze_listing``.

        "In Secret Manager, adding a secret version and then immediately accessing that secret
        version by version number is a strongly consistent operation. Other operations within
        Secret Manager are eventually consistent. Eventually consistent operations typically
        converge within minutes, but may take a few hours"
        (cloud.google.com/secret-manager/docs/reference/consistency).
        """
        self.settle()
        self._listing = [fixed(entry) for entry in self._secrets()]

    def unfreeze_listing(self) -> None:
        """Answer ListSecrets live again."""
        self._listing = None

    def freeze_versions(self) -> None:
        """Answer ListSecretVersions from the versions as they are now."""
        self.settle()
        self._versions = {
            name: [fixed(entry) for entry in _versions(secret)]
            for name, secret in self.by_name.items()
        }

    def unfreeze_versions(self) -> None:
        """Answer ListSecretVersions live again."""
        self._versions = None

    def freeze_aliases(self) -> None:
        """Let aliases and ``latest`` lead where they lead now; numbers stay immediate."""
        self._aliases = {name: _aliases(secret) for name, secret in self.by_name.items()}

    def unfreeze_aliases(self) -> None:
        """Let aliases lead where the secret says again."""
        self._aliases = None

    def freeze_states(self) -> None:
        """Let versions be read in the states that they are in now, whatever becomes of them.

        Measured (see ``checks``): a version disabled moments before was still served, and refused
        a second later.
        """
        self._states = {
            (name, number): version.state
            for name, secret in self.by_name.items()
            for number, version in secret.versions.items()
        }

    def unfreeze_states(self) -> None:
        """Let versions be read in the states that they are in."""
        self._states = {}

    def readable_state(self, secret: Secret, version: Version) -> State:
        """Return the state by which a version is read; the value of a destroyed one is gone."""
        if version.state is DESTROYED:
            return version.state
        return self._states.get((secret.name, version.number), version.state)

    def list_secrets(self, parent: Parent, question: Question) -> Page[SecretMessage]:
        """Return a page of the secrets, newest first."""
        if not question.filter:
            # The total that is answered then leaves out what has expired.
            self.settle()
        home = f"{parent}/secrets/"
        known = self._secrets() if self._listing is None else self._listing
        return page([entry for entry in known if entry.name.startswith(home)], home, question)

    def list_versions(self, secret: Secret, question: Question) -> Page[SecretVersion]:
        """Return a page of a secret's versions, newest first."""
        known = _versions(secret)
        if self._versions is not None:
            known = self._versions.get(secret.name, [])
        return page(known, secret.name, question)

    def _secrets(self) -> list[Entry[SecretMessage]]:
        # They are in order of creation.
        secrets = reversed(self.by_name.values())
        return [Entry(s.sequence, s.name, partial(self._show, s.name)) for s in secrets]

    def _show(self, name: str) -> SecretMessage | None:
        secret = self.lookup(name)
        return None if secret is None else secret.message()

    def _aliased(self, secret: Secret) -> dict[str, int]:
        if self._aliases is None:
            return _aliases(secret)
        return self._aliases.get(secret.name, {})


def _aliases(secret: Secret) -> dict[str, int]:
    # "An alias to the most recently created SecretVersion" (the types), also when that one is
    # disabled or destroyed: github.com/google-github-actions/get-secretmanager-secrets/issues/268.
    latest = {} if secret.latest is None else {"latest": secret.latest}
    return secret.version_aliases | latest


def _versions(secret: Secret) -> list[Entry[SecretVersion]]:
    return [
        Entry(number, secret.name, partial(secret.version_message, secret.versions[number]))
        for number in sorted(secret.versions, reverse=True)
    ]
