"""The commands on seals: what they print and write, and what they refuse."""

import json
from pathlib import Path

import aics_tlog
import pytest
from aics_tlog import checkpoint as others
from aics_tlog.verified import audit_tiles
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from daena_kms.seal.notes import read_checkpoint, read_note
from daena_kms.seal.proofs import read_proof

from tests.unit.cli.shell import Shell


@pytest.fixture
def place(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for seals of a log with some runs."""
    monkeypatch.setenv("DAENA_KMS_SEAL_URL", (tmp_path / "seals").as_uri())
    monkeypatch.setenv("DAENA_KMS_SEAL_ORIGIN", "example.com/log")
    shell.run("create", "some-key")
    shell.run("create", "other-key")
    return tmp_path / "seals"


def newest(place: Path) -> Path:
    """Return the newest checkpoint."""
    return max((place / "checkpoint").iterdir())


def test_sealed_exported_and_verified_by_others(shell: Shell, place: Path, tmp_path: Path) -> None:
    """The folder is a log that another implementation reads, from its key to its last record."""
    assert "Sealed 6 new objects: 6 in all" in shell.run("audit", "seal").stdout
    key = shell.run("audit", "key").stdout.strip()
    folder = tmp_path / "handed-over"
    assert "6 objects, 6 of them sealed" in shell.run("audit", "export", str(folder)).stdout

    note = aics_tlog.parse_note((folder / "checkpoint").read_bytes())
    found = others.verify_checkpoint(note, aics_tlog.parse_vkey(key))
    assert found.log_ok
    checkpoint = others.parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/log", 6)
    reader = aics_tlog.FileSystemTileReader(folder)
    assert audit_tiles(reader, checkpoint.size, checkpoint.root).bundles == 1
    for name in ("log", "seal"):
        assert any(path.is_file() for path in (folder / name).rglob("*"))
    assert place.is_dir()
    assert shell.run("audit", "verify", str(folder), "--key", key).exit_code == 0


def test_a_folder_is_verified_without_anything_else(
    shell: Shell, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No log, no store, no key of ours is needed; without a key that is said."""
    shell.run("audit", "seal")
    key = shell.run("audit", "key").stdout.strip()
    kept = tmp_path / "kept"
    kept.write_bytes(newest(place).read_bytes())
    folder = tmp_path / "handed-over"
    shell.run("audit", "export", str(folder))
    for name in ("AUDIT_URL", "SEAL_URL", "SEAL_ORIGIN", "HOME"):
        monkeypatch.delenv(f"DAENA_KMS_{name}")

    arguments = ["audit", "verify", str(folder), "--key", key, "--since", str(kept)]
    assert shell.json(*arguments)["notes"] == []
    assert any(
        "not checked" in note for note in shell.json("audit", "verify", str(folder))["notes"]
    )
    record = next((folder / "log").rglob("*.json"))
    record.write_bytes(record.read_bytes().replace(b"other-key", b"0ther-key")[::-1])
    report = shell.json(*arguments, status=1)
    assert record.relative_to(folder).as_posix() in {p["object"] for p in report["problems"]}


def test_a_proof_is_what_others_verify(shell: Shell, place: Path, tmp_path: Path) -> None:
    """Of each object; and of none that is not sealed."""
    shell.run("audit", "seal")
    entries = shell.log.entries("log/")
    for number, entry in enumerate(entries):
        output = tmp_path / f"{number}.tlog-proof"
        shell.run("audit", "prove", entry.name, "--output", str(output))
        index, path, note = read_proof(output.read_bytes())
        checkpoint = read_checkpoint(read_note(note))
        seal = json.loads((place / "seal" / "000000000000.json").read_bytes())
        leaf = f"{seal['leaves'][index]}\n".encode()
        assert leaf.startswith(entry.name.encode())
        proof = (index, checkpoint.size, path, checkpoint.root)
        assert aics_tlog.verify_leaf_inclusion(leaf, *proof)
    shell.run("create", "third-key")
    unsealed = next(e.name for e in shell.log.entries("log/") if e not in entries)
    result = shell.run("audit", "prove", unsealed, "--output", str(tmp_path / "x"))
    assert (result.exit_code, "is not in the sealed log" in result.stderr) == (2, True)
    taken = shell.run("audit", "prove", entries[0].name, "--output", str(tmp_path / "0.tlog-proof"))
    assert (taken.exit_code, "can't be written" in taken.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "c2sp.org/tlog-proof@v1\nindex 07\n\nx", "c2sp.org/tlog-proof@v1\nindex 7\n*\n\n"]
)
def test_what_is_no_proof(text: str) -> None:
    """It is refused by its form."""
    from daena_kms.errors import ConfigError

    with pytest.raises(ConfigError, match="not a proof"):
        read_proof(text.encode())


def test_the_log_says_that_it_is_not_sealed(shell: Shell) -> None:
    """And is verified as before."""
    shell.run("create", "some-key")
    result = shell.run("audit", "verify")
    assert result.exit_code == 0
    assert "The log is not sealed: DAENA_KMS_SEAL_URL is not set." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["seal"], "there is no place for seals"),
        (["key"], "there is no place for seals"),
        (["export", "x"], "there is no place for seals"),
        (["prove", "x", "--output", "y"], "there is no place for seals"),
        (["verify", "--key", "nonsense"], "'nonsense' is not a verifier's key"),
        (["verify", "missing-folder"], "missing-folder is not a folder"),
        (["verify", "--since", "nonsense"], "'nonsense' is not a closing record, nor"),
    ],
)
def test_bad_usage(shell: Shell, arguments: list[str], words: str) -> None:
    """One line that says what is wrong, and what to do."""
    shell.run("create", "some-key")
    result = shell.run("audit", *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SEAL_URL", "seals", "is not an address of the place for seals"),
        ("SEAL_URL", "s3://UPPER/x", "is not a bucket's name"),
        ("SEAL_ORIGIN", "a+b", "the log can't be sealed as 'a+b'"),
        ("SEAL_ORIGIN", "a b", "the log can't be sealed as 'a b'"),
        ("SEAL_KEY", "/nowhere/seal.pem", "/nowhere/seal.pem can't be read"),
        ("SEAL_KEY", "ibmkms:x", "'ibmkms:x' in DAENA_KMS_SEAL_KEY is of no kind that seals"),
        ("CHECKPOINT_COPY", "ftp://x", "is not an address of the place for copies of checkpoints"),
    ],
)
def test_bad_settings(
    shell: Shell,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: str,
) -> None:
    """Nothing is sealed then."""
    monkeypatch.setenv(f"DAENA_KMS_{variable}", value)
    result = shell.run("audit", "seal")
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr
    assert not place.exists()


def test_a_key_of_another_kind_is_refused(
    shell: Shell, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RSA, and one that others may read."""
    path = tmp_path / "rsa.pem"
    monkeypatch.setenv("DAENA_KMS_SEAL_KEY", str(path))
    private = generate_private_key(65537, 2048)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "is readable by others" in shell.run("audit", "seal").stderr
    path.chmod(0o600)
    assert "is not an Ed25519 private key in PEM" in shell.run("audit", "seal").stderr
    assert not place.exists()


def test_a_missing_key_is_not_replaced(shell: Shell, place: Path) -> None:
    """It was made where nothing was sealed yet; a new one would be taken for a forger's."""
    shell.run("audit", "seal")
    (found,) = place.parent.rglob("seal.pem")
    assert found.stat().st_mode & 0o777 == 0o600
    found.unlink()
    shell.run("create", "third-key")
    result = shell.run("audit", "seal")
    assert (result.exit_code, "is missing" in result.stderr) == (2, True)
    assert not found.exists()


def test_a_place_that_cannot_be_written(shell: Shell, place: Path) -> None:
    """The command ends with 1, and the log is as it was."""
    place.write_text("a file")
    result = shell.run("audit", "seal")
    assert (result.exit_code, "the place for seals" in result.stderr) == (1, True), result.stderr


def test_a_checkpoint_of_another_log(shell: Shell, place: Path, tmp_path: Path) -> None:
    """Kept elsewhere, and not of this log: its key does not fit, or its name."""
    shell.run("audit", "seal")
    kept = tmp_path / "kept"
    kept.write_bytes(newest(place).read_bytes().replace(b"example.com/log", b"example.com/lag"))
    result = shell.run("audit", "verify", "--since", str(kept))
    assert (result.exit_code, "signed by none of the keys" in result.stderr) == (2, True)
    kept.write_text("nonsense")
    assert (
        "is not a text and its signatures"
        in shell.run("audit", "verify", "--since", str(kept)).stderr
    )


def test_checkpoints_are_copied(
    shell: Shell, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To another place, which ``verify`` takes as what was kept elsewhere."""
    monkeypatch.setenv("DAENA_KMS_CHECKPOINT_COPY", (tmp_path / "copy").as_uri())
    shell.run("audit", "seal")
    (copy,) = (tmp_path / "copy" / "checkpoint").iterdir()
    assert copy.read_bytes() == newest(place).read_bytes()
    assert shell.run("audit", "verify", "--since", str(copy)).exit_code == 0
