"""The demo on the local store: plan, rotate, read, crash, recover, verify, tamper."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daena_kms.audit import open_log
from daena_kms.audit.reader import history
from daena_kms.audit.verify import verify
from daena_kms.cli.page import Page
from daena_kms.cli.render import history_table, plan_table, summary_table
from daena_kms.engine import run
from daena_kms.errors import ConfigError
from daena_kms.objects.base import Objects
from daena_kms.operations import Operations
from daena_kms.rules.policy import Defaults
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.local.store import LocalStore

#: The parts that only ``make`` in a clone of the project can show.
_IN_A_CLONE = ("aws", "azure", "gcp", "all")
#: Key, spec, age in days, and further tags.
_KEYS: tuple[tuple[str, str, int, dict[str, str]], ...] = (
    ("orders-encryption-key", "aes-256", 92, {}),
    ("session-signing-key", "hmac-256", 33, {"daena.rotate-after": "30d"}),
    ("db-password", "password:length=24:exclude=24", 61, {"daena.rotate-after": "60d"}),
    ("partner-api-token", "token", 10, {}),
    ("migrating-key", "ed25519", 200, {"daena.hold": "true"}),
)


def check_part(part: str) -> None:
    """Raise :class:`ConfigError` for a part that the installed package can't show."""
    if part in _IN_A_CLONE:
        msg = f"the part {part!r} of the demo needs clouds on this machine, which the package lacks"
        target = "demo" if part == "all" else f"demo-{part}"
        raise ConfigError(msg, todo=f"Clone the project and run make {target}")
    if part != "local":
        raise ConfigError(f"{part[:40]!r} is not a part of the demo", todo="Use local")


def show(page: Page, folder: Path) -> None:
    """Show the engine on a local store in ``folder``."""
    # The defaults, whatever the environment says.
    adapter = CloudKMSAdapter(LocalStore(folder / "store"), Defaults())
    log = open_log((folder / "audit").as_uri())
    now = datetime.now(UTC)
    for key_id, spec, age, tags in _KEYS:
        then = now - timedelta(days=age, minutes=1)
        Operations(adapter, log, now=then, principal="demo").create(key_id, spec=spec, tags=tags)

    page.head("1. Five keys of different ages and policies. What would a run do, and why?")
    page.table(plan_table(run(adapter, log, dry_run=True, now=now).actions))

    page.head("2. Rotate what is due.")
    old = adapter.get_key("orders-encryption-key")
    summary = run(adapter, log, now=now, trigger="schedule", principal="demo")
    page.table(summary_table(summary))
    page.check("the key has a new value", holds=adapter.get_key("orders-encryption-key") != old)
    still = adapter.get_key("orders-encryption-key", "previous") == old
    page.check("the previous version is still readable", holds=still)

    page.head("3. The same trigger fires again, as every at-least-once trigger does.")
    again = run(adapter, log, now=now, trigger="schedule", principal="demo")
    page.check("it finds nothing to do", holds=not again.rotated)

    _crash(page, adapter, log, folder, now + timedelta(days=31))
    _tamper(page, adapter, log, folder)


def _crash(
    page: Page, adapter: CloudKMSAdapter, log: Objects, folder: Path, later: datetime
) -> None:
    page.head("4. 31 days later, a run is killed between its intent and the change.")
    crash = [sys.executable, "-m", "daena_kms.cli.crash", str(folder), later.isoformat()]
    killed = subprocess.run(crash, check=False, timeout=60)  # noqa: S603 - this very package
    page.check("the process was killed", holds=killed.returncode == -9)  # noqa: PLR2004 - SIGKILL
    page.table(plan_table(run(adapter, log, dry_run=True, now=later).actions))
    summary = run(adapter, log, now=later, trigger="schedule", principal="demo")
    page.table(summary_table(summary))
    page.check(
        "the next run finished it with a fresh value, without help",
        holds=summary.finished == ["session-signing-key"],
    )
    page.check(
        "the old version of db-password is retired, because its grace period is over",
        holds=summary.retired == ["db-password"],
    )


def _tamper(page: Page, adapter: CloudKMSAdapter, log: Objects, folder: Path) -> None:
    page.head("5. What does the audit log prove?")
    rows = [row for row in history(log) if row["key"] == "session-signing-key"]
    page.table(history_table(rows))
    report = verify(log, adapter.store.inventory())
    confirmed = sum(finding.status == "confirmed" for finding in report.findings)
    page.say(f"{report.objects} objects of {report.runs} runs; {confirmed} versions in the store")
    page.check(
        "the log confirms every version in the store, and its chain is complete",
        holds=report.ok and confirmed == len(report.findings),
    )

    page.head("6. Somebody changes one word in a copy of the log.")
    copy = folder / "tampered"
    shutil.copytree(folder / "audit", copy)
    victim = next(p for p in sorted(copy.rglob("000001.json")))
    record = json.loads(victim.read_text())
    victim.write_text(victim.read_text().replace(record["principal"], "nobody"))
    tampered = verify(open_log(copy.as_uri()), adapter.store.inventory())
    for problem in tampered.problems:
        page.say(f"{problem.name} {problem.what}")
    name = victim.relative_to(copy).as_posix()
    named = not tampered.ok and any(problem.name == name for problem in tampered.problems)
    page.check("verify names the object", holds=named)
