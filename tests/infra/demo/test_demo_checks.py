"""What the demo says yes to: each line is computed, and ends the demo when it is not so."""

import ast
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.audit.reader import records
from daena_kms.audit.verify import Report, verify
from daena_kms.cli import crash
from daena_kms.cli import demo as local
from daena_kms.cli.page import Page
from daena_kms.cloud_kms import CloudKMSAdapter, LocalAdapter
from daena_kms.engine import run
from daena_kms.errors import DaenaKMSError
from daena_kms.operations import Operations

from infra.demo import PARTS, aws, azure, gcp, show


def test_a_check_that_does_not_hold_raises(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo shows, it does not claim."""
    with pytest.raises(DaenaKMSError, match="it does not hold: pigs fly"):
        Page().check("pigs fly", holds=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("part", [local, aws, azure, gcp])
def test_every_yes_is_computed(part: ModuleType) -> None:
    """Each line that says yes is a check of something found, never a constant or a plain line."""
    tree = ast.parse(Path(str(part.__file__)).read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    checks = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "check"]
    holds = [k.value for c in checks for k in c.keywords if k.arg == "holds"]

    assert len(checks) == len(holds) >= 5
    assert [h for h in holds if isinstance(h, ast.Constant)] == []
    assert "yes" not in {
        w for n in ast.walk(tree) if isinstance(n, ast.Constant) for w in [n.value]
    }


def _stuck(_adapter: CloudKMSAdapter, _key_id: str, _version: str | None = None) -> str:
    return "the same"


def _no_previous(adapter: CloudKMSAdapter, key_id: str, version: str | None = None) -> str:
    return adapter.store.read(key_id) if version is None else "another"


def _again(*arguments: Any, **named: Any) -> Any:
    summary = run(*arguments, **named)
    summary.rotated = summary.rotated or ["once-more"]
    return summary


def _unfinished(*arguments: Any, **named: Any) -> Any:
    summary = run(*arguments, **named)
    summary.finished = []
    return summary


def _unretired(*arguments: Any, **named: Any) -> Any:
    summary = run(*arguments, **named)
    summary.retired = []
    return summary


def _blind(*arguments: Any) -> Report:
    return replace(verify(*arguments), problems=[])


def _doubtful(*arguments: Any) -> Report:
    report = verify(*arguments)
    first, *rest = report.findings
    return replace(report, findings=[replace(first, status="unconfirmed"), *rest])


class _Survivor:
    returncode = 0


#: By the line that must not say yes then, what has stopped working.
BROKEN: dict[str, tuple[object, str, Callable[..., object]]] = {
    "the key has a new value": (CloudKMSAdapter, "get_key", _stuck),
    "the previous version is still readable": (CloudKMSAdapter, "get_key", _no_previous),
    "it finds nothing to do": (local, "run", _again),
    "the process was killed": (subprocess, "run", lambda *_, **__: _Survivor()),
    "the next run finished it": (local, "run", _unfinished),
    "the old version of db-password is retired": (local, "run", _unretired),
    "the log confirms every version in the store": (local, "verify", _doubtful),
    "verify names the object": (local, "verify", _blind),
}


@pytest.mark.parametrize("words", BROKEN)
def test_what_is_not_so_ends_the_demo(
    words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A part of the engine that stopped working is seen at the line that shows it."""
    monkeypatch.setattr(*BROKEN[words])

    with pytest.raises(DaenaKMSError, match=f"it does not hold: {words}"):
        local.show(Page(), tmp_path)


@pytest.mark.parametrize("shown", [*([part] for part in PARTS), [*PARTS]])
def test_a_part_is_shown_alone_or_with_the_others(
    shown: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each in a folder of its own, which is removed afterwards."""
    folders: list[Path] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for module in (local, aws, azure, gcp):
        monkeypatch.setattr(module, "show", lambda _, folder: folders.append(folder))

    show(shown, keep=False)

    assert [folder.name for folder in folders] == shown
    assert list(tmp_path.iterdir()) == []


def test_the_crash_is_in_the_middle_of_a_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process kills itself after the intent is durable and before the new version is there."""
    adapter = LocalAdapter(tmp_path / "store")
    log = open_log((tmp_path / "audit").as_uri())
    now = datetime.now(UTC)
    Operations(adapter, log, now=now, principal="demo").create("key")
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *call: killed.append(call))

    crash.main(str(tmp_path), (now + timedelta(days=91)).isoformat())

    assert killed == [(os.getpid(), signal.SIGKILL)]
    assert len(adapter.store.describe("key").versions) == 1
    intents = [d for _, d in records(log) if b'"kind":"rotate"' in d and b'"type":"intent"' in d]
    assert len(intents) == 1
