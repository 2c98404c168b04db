"""What a manifest is, to the byte: fields, hash and form, of ours and of the older system's."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from daena_kms.errors import ManifestInvalid
from daena_kms.kms.manifests import create_manifest
from daena_kms.kms.manifests.format import (
    MAX_BYTES,
    Manifest,
    decode,
    encode,
    hash_fits,
    hash_of,
    parse,
)

from tests.unit.kms.manifests import old_manifest, one_signer, rotation

FIELDS = {
    *("manifest_id", "timestamp", "key_id", "key_hash", "operator", "prev_manifest_hash"),
    *("metadata", "manifest_hash", "signature"),
}


def made(**changes: Any) -> Manifest:
    """Return a manifest of ours."""
    return create_manifest(one_signer(), rotation(**changes), seq=2, prev_manifest_hash="ab")


def test_it_says_what_was_done() -> None:
    """Every part of the rotation but the value, and the nine fields of the older system."""
    manifest = made(run="r", version="v2", provider="aws", metadata={"ticket": 7})
    assert manifest.to_dict().keys() > FIELDS
    assert (manifest.key_id, manifest.version, manifest.run) == ("some-key", "v2", "r")
    assert (manifest.operator, manifest.kind, manifest.seq) == ("alice", "record", 2)
    assert manifest.timestamp == "2026-11-24T15:50:00Z"
    assert manifest.metadata == {"ticket": 7}
    assert manifest.prev_manifest_hash == "ab"
    assert manifest.signed_by == one_signer().public_key
    assert manifest.key_hash.startswith("hmac-sha256:")
    assert not manifest.old
    shown = f"Manifest({manifest.manifest_id!r}, key_id='some-key', seq=2)"
    assert repr(manifest) == shown


def test_the_hash_is_that_of_the_sorted_json() -> None:
    """SHA-256 of json.dumps with sorted keys, without hash and signature."""
    manifest = made(metadata={"ä": [1, 2.5, None, True]})
    raw = manifest.to_dict()
    del raw["manifest_hash"], raw["signature"]
    text = json.dumps(raw, sort_keys=True)
    assert manifest.manifest_hash == hashlib.sha256(text.encode()).hexdigest()
    assert hash_fits(manifest)
    assert hash_of(manifest.raw) == manifest.manifest_hash


def test_it_is_kept_in_one_form_and_comes_back() -> None:
    """One line of ASCII; read, it is the same manifest."""
    manifest = made(metadata={"ä": "ö"})
    data = encode(manifest)
    assert data.isascii()
    assert data.count(b"\n") == 1
    assert decode(data) == manifest
    assert encode(decode(data)) == data


@pytest.mark.parametrize("separators", [None, (",", ":"), (", ", ": ")])
def test_an_older_one_s_hash_in_the_usual_spellings(separators: tuple[str, str] | None) -> None:
    """However its JSON was spaced when it was hashed."""
    old = old_manifest("key", separators=separators, operator="bøb", timestamp=1736078400.5)
    assert old.old
    assert hash_fits(old)
    assert not hash_fits(Manifest({**old.raw, "operator": "bob"}))
    assert (old.seq, old.kind, old.run, old.version, old.signed_by) == (None,) * 5
    assert old.timestamp == "1736078400.5"


def test_an_older_one_may_leave_open_who_and_what() -> None:
    """Operator, metadata and signature may be null; the empty text names no predecessor."""
    old = old_manifest("key", "", operator=None, metadata=None)
    assert (old.operator, old.metadata, old.prev_manifest_hash) == (None, {}, None)
    assert Manifest({**old.raw, "signature": None}).signature == ""


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no field": lambda raw: raw.pop("key_id"),
    "a field more": lambda raw: raw.update(extra=1),
    "number for text": lambda raw: raw.update(key_id=7),
    "list for metadata": lambda raw: raw.update(metadata=[]),
    "truth for a number": lambda raw: raw.update(seq=True),
    "another version": lambda raw: raw.update(v=3),
    "number nought": lambda raw: raw.update(seq=0),
    "no time": lambda raw: raw.update(timestamp="yesterday"),
    "no zone": lambda raw: raw.update(timestamp="2026-11-24T15:50:00"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_what_is_no_manifest(how: str) -> None:
    """A field too few, too many or of another type makes it none."""
    raw = made().to_dict()
    assert parse(raw).seq == 2
    BREAKS[how](raw)
    with pytest.raises(ManifestInvalid, match="it is not a manifest"):
        parse(raw)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{",
        b"[" * 60_000,
        b" " * (MAX_BYTES + 1),
        encode(made()).replace(b'"seq":2', b'"seq":NaN'),
    ],
    ids=range(8),
)
def test_bytes_that_are_no_manifest(data: bytes) -> None:
    """Nothing that somebody may leave there is an error of another kind."""
    with pytest.raises(ManifestInvalid, match="it is not a manifest"):
        decode(data)


def test_two_are_never_the_same() -> None:
    """Not even of one value in one second; their fingerprints are, so that it can be shown."""
    material = "a value that comes back"
    one, two = made(material=material), made(material=material)
    assert one.manifest_id != two.manifest_id
    assert one.manifest_hash != two.manifest_hash
    assert one.key_hash == two.key_hash != made(material="another").key_hash
    assert made(material=material, key_id="other-key").key_hash != one.key_hash
