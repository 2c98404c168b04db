"""Make a small store with its audit log and manifests, and write down what one sees in them.

The files beside this module were made with the code of 2026-11-26 (commit b92fa57), by::

    PYTHONPATH=<checkout of that commit>/core:. python -m tests.unit.old.make tests/unit/old

Only names that stay are imported here, so that later versions can live the same life again.
``audit.jsonl`` holds the objects of log and chain in the order of their times, ``store.sql`` the
store's database, ``seen.json`` what that version saw in them and did with them 40 days later.

No real secret is in them. Values were generated for these files alone; the master key of the
store and the signing key are hashes of the two public phrases below.
"""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daena_kms.audit import open_log
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.kms import KeyManagementService
from daena_kms.objects.base import Entry, Objects
from daena_kms.operations import Operations

PHRASE = "the master key of a test fixture, which protects nothing"
SIGNING_PHRASE = "the signing key of a test fixture, which proves nothing"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
#: When a later run looks at what is left.
LATER = START + 81 * DAY
OPERATOR = "alice"
LEAKED = "leaked-key"


def master_key() -> str:
    """Return what opens the store: no secret."""
    return base64.b64encode(hashlib.sha256(PHRASE.encode()).digest()).decode()


def signing_key() -> str:
    """Return what signed the manifests, as PEM: no secret."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(SIGNING_PHRASE.encode()).digest())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


class Crash(BaseException):
    """The end of a process, as far as the engine can tell."""


class Torn(Objects):
    """Passes on to a log, and takes nothing more after the intent."""

    def __init__(self, log: Objects) -> None:
        self._log = log
        self._puts = 0
        self.url = log.url

    def put_new(self, name: str, data: bytes) -> None:
        """Take what comes up to the intent."""
        if self._puts:
            raise AuditUnavailable("the process is gone")
        self._puts += b'"type":"intent"' in data
        self._log.put_new(name, data)

    def get(self, name: str) -> bytes | None:
        """Read."""
        return self._log.get(name)

    def entries(self, prefix: str) -> list[Entry]:
        """List."""
        return self._log.entries(prefix)

    def children(self, prefix: str) -> list[str]:
        """List folders."""
        return self._log.children(prefix)


class Life:
    """A store and its log through 41 days. The master key is in the environment."""

    def __init__(self, home: Path, audit: Path) -> None:
        self.adapter: CloudKMSAdapter = LocalAdapter(home)
        self.log = open_log(audit.absolute().as_uri())

    def live(self) -> None:
        """Do everything, each step at its own time."""
        self._create()
        self._rotate_and_retire()
        self._bring_values()
        self._crash()
        self._leak()

    def _operations(self, at: timedelta, reason: str | None = None) -> Operations:
        return Operations(self.adapter, self.log, now=START + at, principal=OPERATOR, reason=reason)

    def _run(self, at: timedelta, log: Objects | None = None, **options: Any) -> None:
        run(
            self.adapter,
            self.log if log is None else log,
            now=START + at,
            workers=1,
            trigger="schedule",
            principal="scheduler",
            **options,
        )

    def _create(self) -> None:
        monthly = {"daena.rotate-after": "30d"}
        short = {**monthly, "daena.grace": "24h", "daena.destroy-after": "24h", "daena.keep": "2"}
        made = {
            "data-key": ("aes-256", {}),
            "session-token": ("token", short),
            "interrupted-key": ("aes-256", monthly),
            "unrecorded-key": ("hmac-256", monthly),
            LEAKED: ("token", {"daena.rotate-after": "90d"}),
            "deleted-key": ("password", {}),
            "held-key": ("token", {"daena.rotate-after": "10d"}),
        }
        for number, (key_id, (spec, tags)) in enumerate(made.items()):
            at = timedelta(minutes=number)
            self._operations(at, "a first value").create(key_id, spec=spec, tags=tags)
        adopted = "adopted-key"
        value = hashlib.sha256(os.urandom(32)).hexdigest()
        self.adapter.store.create(adopted, value, {}, START)
        self._operations(HOUR).adopt(
            adopted, spec="token", tags={"daena.first-due": "2026-05-01T00:00:00Z"}
        )
        self._operations(2 * HOUR, "a migration").hold("held-key")

    def _rotate_and_retire(self) -> None:
        self._run(5 * DAY, keys=["data-key"], reason="a new machine")
        self._run(30 * DAY, keys=["session-token"], if_due=True)
        self._run(31 * DAY + HOUR, keys=["session-token"], if_due=True)
        self._run(31 * DAY + 2 * HOUR, keys=["session-token"], reason="once more")
        self._operations(32 * DAY, "the new key broke a reader").rollback("data-key")

    def _bring_values(self) -> None:
        for number in range(2):
            value = base64.b64encode(os.urandom(24)).decode()
            self._service(33 * DAY + number * HOUR).record_rotation(
                value, "brought-key", metadata={"ticket": f"OPS-{number}"}
            )
        self._service(33 * DAY + 2 * HOUR).rollback_key("brought-key")
        value = base64.b64encode(os.urandom(24)).decode()
        self._service(33 * DAY + 3 * HOUR).create_manifest(value, "elsewhere-key")

    def _service(self, at: timedelta) -> KeyManagementService:
        return KeyManagementService(
            "local",
            adapter=self.adapter,
            log=self.log,
            signing_key=signing_key(),
            operator=OPERATOR,
            now=START + at,
        )

    def _crash(self) -> None:
        """One process ends before its change, another right after it; a run finds out which."""
        store: Any = self.adapter.store
        promote = store.promote

        def before(*_arguments: object) -> str:
            raise Crash

        def after(*arguments: object) -> str:
            promote(*arguments)
            raise Crash

        crashes = {"interrupted-key": before, "unrecorded-key": after}
        for number, (key_id, crash) in enumerate(crashes.items()):
            store.promote = crash
            # In hours of their own: within one, a later run reads them in the order of their ids.
            at = 35 * DAY + number * timedelta(minutes=61)
            with suppress(Crash):
                self._run(at, Torn(self.log), keys=[key_id], if_due=True)
        del store.promote
        self._run(35 * DAY + 3 * HOUR)
        self._run(37 * DAY)

    def _leak(self) -> None:
        """A value leaks, it is rotated, and the store does not take the retirement."""
        store: Any = self.adapter.store

        def fail(*_arguments: object) -> None:
            raise StoreUnavailable("no answer", key_id=LEAKED)

        store.revoke = fail
        self._run(40 * DAY, keys=[LEAKED], compromised=True, reason="INC-1: in a public log")
        del store.revoke
        self._operations(40 * DAY + HOUR).release("held-key")
        self._operations(40 * DAY + 2 * HOUR).hold("held-key", START + 100 * DAY)
        self._operations(40 * DAY + 12 * HOUR).delete("deleted-key")


def seen(adapter: CloudKMSAdapter, log: Objects) -> dict[str, Any]:
    """Return what one sees in a store and its log, and then what a run does 40 days later."""
    found: dict[str, Any] = {
        "keys": [_key(adapter, key_id) for key_id in adapter.list_keys()],
        "history": list(history(log)),
        "verified": verify(log, adapter.store.scan()).to_dict(),
    }
    plan = run(adapter, log, now=LATER, dry_run=True, principal="scheduler")
    found["plan"] = [[a.key_id, a.kind.value, a.base, a.version, a.reason] for a in plan.actions]
    done = run(adapter, log, now=LATER, workers=1, trigger="schedule", principal="scheduler")
    found["run"] = _of_its_own(done.to_dict())
    after = verify(log, adapter.store.scan()).to_dict()
    found["verified_after"] = {n: after[n] for n in ("ok", "problems", "notes", "objects", "runs")}
    return found


def _key(adapter: CloudKMSAdapter, key_id: str) -> dict[str, Any]:
    key = adapter.store.describe(key_id)
    rows = [[v.id, v.state.value, str(v.superseded), str(v.retired)] for v in key.versions]
    return {"key": key_id, "tags": dict(key.tags), "versions": rows}


def _of_its_own(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary without what no two runs have in common."""
    kept = {name: found for name, found in summary.items() if name not in {"run", "seconds"}}
    return {**kept, "new_versions": sorted(summary["new_versions"])}


def objects_in(audit: Path) -> list[dict[str, str]]:
    """Return what log and chain hold, in the order of their times."""
    found = []
    for path in audit.rglob("*.json"):
        text = path.read_text()
        record = json.loads(text)
        at = str(record.get("time") or record["timestamp"])
        found.append((datetime.fromisoformat(at), path.relative_to(audit).as_posix(), at, text))
    return [{"name": name, "time": at, "text": text} for _, name, at, text in sorted(found)]


def _lines(part: object) -> str:
    """Return JSON, the items of a list on lines of their own."""
    if not isinstance(part, list):
        return json.dumps(part)
    return "[\n" + ",\n".join(json.dumps(item) for item in part) + "\n]"


def main(folder: Path) -> None:
    """Write the three files into ``folder``."""
    os.environ["DAENA_KMS_MASTER_KEY"] = master_key()
    work = folder / "work"
    home, audit = work / "home", work / "audit"
    life = Life(home, audit)
    life.live()
    objects = [json.dumps(entry) for entry in objects_in(audit)]
    (folder / "audit.jsonl").write_text("\n".join(objects) + "\n")
    with closing(sqlite3.connect(home / "keys.db")) as connection:
        (folder / "store.sql").write_text("\n".join(connection.iterdump()) + "\n")
    found = seen(life.adapter, life.log).items()
    parts = [f"{json.dumps(name)}: {_lines(part)}" for name, part in found]
    (folder / "seen.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")
    shutil.rmtree(work)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
