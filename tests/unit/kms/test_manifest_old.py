"""The older system's manifests are taken over whole and unchanged, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daena_kms.errors import ConfigError, DaenaKMSError, ManifestInvalid
from daena_kms.kms.manifests import Chain, Manifest, read_old, verify_chain, verify_manifest
from daena_kms.kms.manifests.format import MAX_BYTES, encode

from tests.unit.kms.manifests import chain_of, old_chain, old_manifest, write_old
from tests.worlds.memory import MemoryObjects

HMAC = "the older system's secret"


def test_they_are_put_in_the_order_of_their_chain(tmp_path: Path) -> None:
    """Whatever the files are called; what is no JSON by its name is not looked at."""
    old = old_chain(HMAC, 6)
    write_old(tmp_path, old)
    (tmp_path / "README.txt").write_text("x")
    found = read_old(tmp_path, HMAC)
    assert [m.manifest_id for m in found] == [m.manifest_id for m in old]
    assert read_old(tmp_path, HMAC.encode()) == found


@pytest.mark.parametrize("first", [None, "", "0" * 64])
def test_how_the_first_one_says_that_it_is(tmp_path: Path, first: str | None) -> None:
    """Null, the empty text, or noughts."""
    one = old_manifest(HMAC, first)
    two = old_manifest(HMAC, one.manifest_hash)
    write_old(tmp_path, [two, one])
    found = read_old(tmp_path, HMAC)
    assert [m.manifest_id for m in found] == [one.manifest_id, two.manifest_id]
    chain = Chain(MemoryObjects())
    chain.fill(found)
    assert verify_chain(chain, public_key=(), hmac_key=HMAC).problems == []


class Folder:
    """A folder of five, and what somebody does to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.old = old_chain(HMAC, 5)
        write_old(path, self.old)

    def file(self, number: int) -> Path:
        """The file of one of them."""
        return self.path / f"{self.old[number].manifest_id}.json"

    def edit(self, number: int, **changes: object) -> None:
        """Change fields."""
        raw = json.loads(self.file(number).read_text())
        self.file(number).write_text(json.dumps({**raw, **changes}))

    def add(self, name: str, manifest: Manifest) -> None:
        """Add a file."""
        (self.path / name).write_bytes(encode(manifest))


WRONG: dict[str, tuple[Callable[[Folder], Any], int | str, str]] = {
    "edited": (lambda f: f.edit(2, operator="mallory"), 2, "was changed"),
    "unsigned": (lambda f: f.edit(2, signature=""), 2, "does not match this HMAC key"),
    "no manifest": (lambda f: f.file(3).write_text("{}"), 3, "is not a manifest"),
    "too long": (lambda f: f.file(3).write_text(" " * MAX_BYTES + "{}"), 3, "is not a manifest"),
    "deleted": (lambda f: f.file(2).unlink(), 3, "follows a manifest that is missing"),
    "beheaded": (lambda f: f.file(0).unlink(), 1, "follows a manifest that is missing"),
    "twice": (lambda f: f.add("z.json", f.old[1]), "z.json", "is the same manifest as"),
    "forked": (
        lambda f: f.add("z.json", old_manifest(HMAC, f.old[1].manifest_hash)),
        "z.json",
        "the chain forks",
    ),
    "two firsts": (lambda f: f.add("z.json", old_manifest(HMAC)), "z.json", "the chain forks"),
    "ours": (
        lambda f: f.add("z.json", next(chain_of(1)[0].manifests())),
        "z.json",
        "is not from the older system",
    ),
    "a folder": (lambda f: (f.path / "z.json").mkdir(), "z.json", "can't be read: Is a directory"),
}


@pytest.mark.parametrize("how", WRONG)
def test_the_file_that_is_wrong_is_named(tmp_path: Path, how: str) -> None:
    """And what is wrong with it."""
    folder = Folder(tmp_path)
    tamper, which, what = WRONG[how]
    tamper(folder)
    name = which if isinstance(which, str) else folder.file(which).name
    with pytest.raises(ManifestInvalid, match=what) as caught:
        read_old(tmp_path, HMAC)
    assert name in str(caught.value)
    assert "Nothing was imported" in str(caught.value)


def test_the_wrong_secret(tmp_path: Path) -> None:
    """No file is right under it; the secret is not shown."""
    Folder(tmp_path)
    with pytest.raises(ManifestInvalid, match="does not match this HMAC key") as caught:
        read_old(tmp_path, "some other secret")
    assert "some other" not in str(caught.value)


def test_an_empty_secret_is_none(tmp_path: Path) -> None:
    """Anybody can sign with it."""
    write_old(tmp_path, [forged := old_manifest("")])
    for hmac_key in ("", b""):
        with pytest.raises(ConfigError, match="the HMAC key is empty"):
            read_old(tmp_path, hmac_key)
        with pytest.raises(ConfigError, match="the HMAC key is empty"):
            verify_manifest(forged, hmac_key=hmac_key)


def test_one_that_is_too_long_for_the_chain(tmp_path: Path) -> None:
    """In the chain every character is ASCII, and so three times as long."""
    long = old_manifest(HMAC, metadata={"note": "\N{SNOWMAN}" * (MAX_BYTES // 5)})
    path = tmp_path / "long.json"
    path.write_text(json.dumps(long.to_dict(), ensure_ascii=False))
    assert path.stat().st_size < MAX_BYTES
    with pytest.raises(ManifestInvalid, match=r"long.json is longer than 65536 bytes"):
        read_old(tmp_path, HMAC)


def test_folders_that_can_t_serve(tmp_path: Path) -> None:
    """One that is empty, none, and a file."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, what in (
        ("empty", "holds no manifests"),
        ("absent", "can't be read: No such file"),
        ("file", "can't be read: Not a directory"),
    ):
        with pytest.raises(DaenaKMSError, match=f"{name} {what}") as caught:
            read_old(tmp_path / name, HMAC)
        assert isinstance(caught.value, ConfigError)
