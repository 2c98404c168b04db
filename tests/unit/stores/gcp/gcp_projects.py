"""A key in a simulated Secret Manager, and what others do to it past us."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from daena_kms.cloud_kms import GCPSecretManagerAdapter
from daena_kms.rules.model import Key
from daena_kms.stores.base import Staged
from daena_kms.stores.gcp.state import VERSIONS, Record, read_records
from daena_kms.stores.gcp.store import GCPStore
from daena_kms.stores.rotation import rotate

from infra.local.gcp.sim import PROJECT, GcpSimulator
from infra.local.gcp.state import Secret

KEY = "some-key"
NAME = f"projects/{PROJECT}/secrets/{KEY}"
TAGS = {"daena.managed": "true", "daena.spec": "token", "daena.grace": "1d"}


class Project:
    """One key, made an hour ago, in a project whose clock and ours go together."""

    def __init__(self, sim: GcpSimulator) -> None:
        self.sim = sim
        self.client = sim.client("somebody")
        self.adapter = GCPSecretManagerAdapter(PROJECT, client=sim.client())
        store = self.adapter.store
        assert isinstance(store, GCPStore)
        self.store = store
        self.store.create(KEY, value(), TAGS, self.now)
        self.pass_(hours=1)
        self.sim.calls.clear()

    @property
    def now(self) -> datetime:
        """What time it is."""
        return self.sim.now()

    def pass_(self, **duration: float) -> None:
        """Let time pass."""
        self.sim.shift_clock(seconds=timedelta(**duration).total_seconds())

    @property
    def secret(self) -> Secret:
        """The secret as it is stored."""
        return self.sim.secrets[KEY]

    @property
    def records(self) -> dict[str, Record]:
        """What its annotations say of its versions."""
        return read_records(self.secret.annotations)

    @property
    def states(self) -> dict[int, str]:
        """The state of each version."""
        return {n: version.state.name for n, version in self.secret.versions.items()}

    def look(self, *, exact: bool = False) -> Key:
        """Look at the key."""
        return self.store.describe(KEY, exact=exact)

    def stage(self) -> Staged:
        """Begin a rotation."""
        return self.store.stage(self.look(), value(), self.now)

    def promote(self, staged: Staged) -> str:
        """Complete a rotation."""
        return self.store.promote(self.look(), staged, self.now)

    def rotate(self) -> str:
        """Rotate the key."""
        return rotate(self.store, self.look(), value(), lambda: self.now)

    def add(self) -> int:
        """Add a version as somebody else would."""
        payload = {"data": value().encode()}
        made = self.client.add_secret_version(request={"parent": NAME, "payload": payload})
        return int(made.name.rpartition("/")[2])

    def move(self, **aliases: int | None) -> None:
        """Move or remove aliases by hand."""
        named = {**self.secret.version_aliases, **aliases}
        kept = {name: number for name, number in named.items() if number is not None}
        self._update("version_aliases", kept)

    def annotate(self, **annotations: str | None) -> None:
        """Change annotations by hand; underscores stand for hyphens."""
        changes = {name.replace("_", "-"): text for name, text in annotations.items()}
        named = {**self.secret.annotations, **changes}
        self._update(
            "annotations", {name: text for name, text in named.items() if text is not None}
        )

    def forget(self) -> None:
        """Take the records away, as an apply would."""
        self.annotate(**{VERSIONS: None})

    def _update(self, field: str, content: dict[str, str] | dict[str, int]) -> None:
        wanted = {"name": NAME, field: content}
        self.client.update_secret(request={"secret": wanted, "update_mask": {"paths": [field]}})


def value() -> str:
    """Return a value that nobody has seen before."""
    return secrets.token_urlsafe()


@contextmanager
def project() -> Iterator[Project]:
    """Give a project."""
    with GcpSimulator() as sim:
        yield Project(sim)
