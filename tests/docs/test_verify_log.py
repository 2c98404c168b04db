"""The program for auditors: what it takes, and every tampering that it finds."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.objects.files import FileObjects
from daena_kms.seal.proofs import export, prove

from tests.unit.seal.sealed import ORIGIN, SealedLog, new_signer
from tests.unit.seal.test_notes import P256Signer

PROGRAM = Path(__file__).parents[2] / "docs" / "verify_log.py"


def verified(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program as an auditor does."""
    command = [sys.executable, "-I", str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """Return an exported folder of 300 objects in three seals, its key, and an early checkpoint."""
    sealed = SealedLog(signers=(new_signer(), P256Signer()))
    root = tmp_path_factory.mktemp("handed")
    for _ in range(3):
        for _ in range(100 // 3):
            sealed.runs(1)
        sealed.seal()
    early = min(name for name in sealed.place.stored if name.startswith("checkpoint/"))
    (root / "early").write_bytes(sealed.place.stored[early])
    export(sealed.log, sealed.place, root / "log")
    name = min(sealed.log.stored)
    (root / "proof").write_bytes(prove(sealed.place, name))
    (root / "name").write_text(name)
    (root / "p256").write_text(sealed.signers[1].key.text)
    return root / "log", sealed.signers[0].key.text, root


def test_a_log_as_it_was_sealed(handed: tuple[Path, str, Path]) -> None:
    """By either key, and as grown from what was kept."""
    folder, key, root = handed
    assert verified(folder, key).stdout.startswith(f"ok: {ORIGIN}: 297 objects are as they were")
    assert verified(folder, (root / "p256").read_text()).returncode == 0
    assert verified(folder, key, root / "early").returncode == 0


def test_a_proof(handed: tuple[Path, str, Path]) -> None:
    """Of a record, under its name, with its content."""
    folder, key, root = handed
    name = (root / "name").read_text()
    assert verified(folder / name, name, root / "proof", key).stdout.startswith(f"ok: {ORIGIN}")
    assert verified(folder / "checkpoint", name, root / "proof", key).returncode == 1
    assert verified(folder / name, f"{name}x", root / "proof", key).returncode == 1
    assert verified(folder / name, name, root / "proof", new_signer().key.text).returncode == 1


def edit(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what changes the first file of a pattern."""

    def apply(folder: Path) -> None:
        path = min(p for p in folder.glob(pattern) if p.is_file())
        data = change(path.read_bytes())
        assert data != path.read_bytes()
        path.write_bytes(data)

    return apply


@pytest.mark.parametrize(
    "tamper",
    [
        edit("log/*/*/*/*/*/*.json", lambda data: data.replace(b"some-key", b"same-key")),
        edit("tile/0/000", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        edit("tile/entries/000", lambda data: data.replace(b"sha256:", b"sha257:", 1)),
        edit("seal/*.json", lambda data: data.replace(b"sha256:", b"sha257:", 1)),
        edit("checkpoint", lambda data: data.replace(b"\n297\n", b"\n296\n")),
        edit("checkpoint", lambda data: data.split(b"\n\n")[0] + b"\n\n"),
        lambda folder: min(folder.glob("log/*/*/*/*/*/*.json")).unlink(),
        lambda folder: (folder / "checkpoint").unlink(),
        lambda folder: shutil.rmtree(folder / "tile"),
    ],
)
def test_a_log_that_was_tampered_with(
    handed: tuple[Path, str, Path], tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    """It says so, and ends with 1."""
    folder, key, _ = handed
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    tamper(copy)
    result = verified(copy, key)
    assert (result.returncode, result.stderr[:7]) == (1, "WRONG: ")


def test_a_log_that_did_not_grow_from_what_was_kept(handed: tuple[Path, str, Path]) -> None:
    """Sealed anew with the same key: only the checkpoint that was kept shows it."""
    _, _, root = handed
    signer = new_signer()
    for name in ("one", "two"):
        sealed = SealedLog(signers=(signer,))
        sealed.runs(4)
        sealed.seal()
        export(sealed.log, sealed.place, root / name)
        shutil.copy(root / name / "checkpoint", root / f"{name}-kept")
    assert verified(root / "one", signer.key.text, root / "one-kept").returncode == 0
    assert verified(root / "one", signer.key.text, root / "two-kept").returncode == 1


def test_usage() -> None:
    """Without arguments it says how it is used."""
    assert verified().returncode == 2


def test_an_export_is_written_once(tmp_path: Path) -> None:
    """The same again changes nothing; another log does not go into the same folder."""
    from daena_kms.errors import ConfigError

    sealed, other = SealedLog(), SealedLog()
    for log in (sealed, other):
        log.clock.now = datetime(2026, 3, 1, tzinfo=UTC)
        log.runs(1)
        log.seal()
    for _ in range(2):
        assert export(sealed.log, sealed.place, tmp_path / "x")[0] == 3
    with pytest.raises(ConfigError, match="already, with another content"):
        export(other.log, other.place, tmp_path / "x")
    assert FileObjects(tmp_path / "x").get("checkpoint") is not None
