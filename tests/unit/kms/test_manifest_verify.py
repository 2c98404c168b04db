"""Edited, deleted, moved, added and cut-off manifests: each is caught, and the first one named."""

import json
from collections.abc import Callable

import pytest
from daena_kms.errors import ConfigError, ManifestInvalid
from daena_kms.kms.manifests import Chain, attest, verify_chain, verify_manifest
from daena_kms.kms.manifests.format import Manifest, decode, encode

from tests.unit.kms.manifests import (
    chain_of,
    old_chain,
    old_manifest,
    one_signer,
    pem,
    public_pem,
    resigned,
    rotation,
    signer,
)
from tests.worlds.memory import MemoryObjects

KEY = one_signer().public_key
HMAC = "an old secret"
LENGTH = 5


def name(number: int) -> str:
    """The name of a manifest."""
    return f"manifests/{number:012}.json"


def edit(objects: MemoryObjects, number: int, **changes: object) -> None:
    """Change fields of a manifest, and leave its hash and signature."""
    raw = json.loads(objects.stored[name(number)])
    objects.stored[name(number)] = encode(Manifest({**raw, **changes}))


def rehash(objects: MemoryObjects, number: int, **changes: object) -> None:
    """Change a manifest, and make its hash right again, as who has no key can."""
    raw = json.loads(objects.stored[name(number)])
    changed = resigned(raw, one_signer(), **changes).to_dict()
    objects.stored[name(number)] = encode(Manifest({**changed, "signature": raw["signature"]}))


def swap(objects: MemoryObjects, one: int, two: int) -> None:
    """Exchange two manifests."""
    held = objects.stored
    held[name(one)], held[name(two)] = held[name(two)], held[name(one)]


def close_gap(objects: MemoryObjects, gone: int) -> None:
    """Delete a manifest and let the others move up."""
    for number in range(gone, LENGTH):
        objects.stored[name(number)] = objects.stored[name(number + 1)]
    del objects.stored[name(LENGTH)]


def forge(objects: MemoryObjects, number: int) -> None:
    """Put a manifest by another key in the place of one."""
    raw = json.loads(objects.stored[name(number)])
    thief = signer()
    forged = resigned(raw, thief, operator="mallory", signed_by=thief.public_key)
    objects.stored[name(number)] = encode(forged)


def pretend(objects: MemoryObjects, number: int) -> None:
    """Forge one that claims to be signed by the trusted key."""
    raw = json.loads(objects.stored[name(number)])
    objects.stored[name(number)] = encode(resigned(raw, signer(), operator="mallory"))


def resign(objects: MemoryObjects, number: int) -> None:
    """Replace one with the right key but other content: a writer who rewrites history."""
    raw = json.loads(objects.stored[name(number)])
    objects.stored[name(number)] = encode(resigned(raw, one_signer(), operator="mallory"))


TAMPERING: dict[str, tuple[Callable[[MemoryObjects], object], int, str]] = {
    "operator": (lambda o: edit(o, 3, operator="mallory"), 3, "was changed"),
    "fingerprint": (lambda o: edit(o, 1, key_hash="hmac-sha256:0"), 1, "was changed"),
    "metadata": (lambda o: edit(o, 5, metadata={}), 5, "was changed"),
    "rehashed": (lambda o: rehash(o, 2, operator="mallory"), 2, "has a wrong signature"),
    "signature": (lambda o: edit(o, 2, signature="ed25519:AAAA"), 2, "has a wrong signature"),
    "no signature": (lambda o: edit(o, 2, signature=""), 2, "has a wrong signature"),
    "no base64": (lambda o: edit(o, 2, signature="ed25519:é"), 2, "has a wrong signature"),
    "another key": (lambda o: forge(o, 4), 4, "by a key that is not trusted"),
    "a claimed key": (lambda o: pretend(o, 4), 4, "has a wrong signature"),
    "rewritten": (lambda o: resign(o, 3), 4, "does not follow manifests/000000000003.json"),
    "deleted": (lambda o: o.stored.pop(name(3)), 3, "is missing"),
    "the first deleted": (lambda o: o.stored.pop(name(1)), 1, "is missing"),
    "closed gap": (lambda o: close_gap(o, 2), 2, "is manifest number 3"),
    "swapped": (lambda o: swap(o, 2, 4), 2, "is manifest number 4"),
    "copied": (lambda o: o.stored.update({name(6): o.stored[name(5)]}), 6, "is manifest number 5"),
    "nonsense": (lambda o: o.stored.update({name(6): b"{}"}), 6, "is not a manifest"),
    "empty": (lambda o: o.stored.update({name(2): b""}), 2, "is not a manifest"),
    "spaced": (
        lambda o: o.stored.update({name(2): o.stored[name(2)].replace(b":", b": ", 1)}),
        2,
        "not in the form in which manifests are written",
    ),
    "far ahead": (lambda o: o.stored.update({name(9_000): b"{}"}), 6, "is missing"),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_the_first_wrong_one_is_named(how: str) -> None:
    """Whatever is done to the chain, the report begins with the manifest that is wrong."""
    chain, objects = chain_of(LENGTH)
    assert verify_chain(chain, public_key=KEY)
    tamper, number, what = TAMPERING[how]
    tamper(objects)
    report = verify_chain(chain, public_key=KEY)
    assert not report.ok
    assert report.problems[0].name == name(number)
    assert what in report.problems[0].what
    with pytest.raises(ManifestInvalid, match=f"^{name(number)} .*{what}.*Compare with a copy"):
        report.raise_if_wrong()


def test_what_is_right_after_a_wrong_one_is_not_blamed() -> None:
    """One edited manifest is one problem, and two are two."""
    chain, objects = chain_of(LENGTH)
    edit(objects, 2, operator="mallory")
    assert len(verify_chain(chain, public_key=KEY).problems) == 1
    edit(objects, 4, operator="mallory")
    report = verify_chain(chain, public_key=KEY)
    assert [problem.name for problem in report.problems] == [name(2), name(4)]
    with pytest.raises(ManifestInvalid, match="1 more are wrong"):
        report.raise_if_wrong()


def test_a_chain_that_is_right() -> None:
    """It counts as true, says how many there are and which is the newest, and raises nothing."""
    chain, _ = chain_of(LENGTH)
    report = verify_chain(chain, public_key=[signer().public_key, public_pem(one_signer())])
    assert bool(report) is True
    assert (report.manifests, report.notes) == (LENGTH, [])
    assert report.newest is not None
    assert report.newest.startswith(f"{name(LENGTH)}@sha256:")
    report.raise_if_wrong()
    assert verify_chain(Chain(MemoryObjects()), public_key=KEY).newest is None


def test_foreign_files_are_passed_over_with_a_note() -> None:
    """What has no manifest's name is none, and harms nothing."""
    chain, objects = chain_of(2)
    for foreign in ("manifests/README", "manifests/1.json", "manifests/a/000000000001.json"):
        objects.stored[foreign] = b"x"
    objects.stored[name(0)] = b"x"
    report = verify_chain(chain, public_key=KEY)
    assert report.ok
    assert len(report.notes) == 4
    assert chain.end().number == 2


@pytest.mark.parametrize("cut", range(1, LENGTH + 1))
def test_a_cut_end_shows_against_what_was_kept(cut: int) -> None:
    """Without anything kept elsewhere a shorter chain is a chain; with it the end is missed."""
    chain, objects = chain_of(LENGTH)
    kept = verify_chain(chain, public_key=KEY).newest
    for number in range(LENGTH - cut + 1, LENGTH + 1):
        del objects.stored[name(number)]
    assert verify_chain(chain, public_key=KEY)
    report = verify_chain(chain, public_key=KEY, since=kept)
    assert [problem.name for problem in report.problems] == [name(LENGTH)]
    assert "is missing, but was kept as the newest" in report.problems[0].what


def test_a_rewritten_end_shows_against_what_was_kept() -> None:
    """Even the holder of the signing key can't replace what was kept."""
    chain, objects = chain_of(LENGTH)
    kept = verify_chain(chain, public_key=KEY).newest
    resign(objects, LENGTH)
    assert verify_chain(chain, public_key=KEY)
    assert (
        "was changed since it was kept"
        in verify_chain(chain, public_key=KEY, since=kept).problems[0].what
    )
    attest(one_signer(), chain, rotation())
    assert not verify_chain(chain, public_key=KEY, since=kept)


def test_what_was_kept_stays_good_while_the_chain_grows() -> None:
    """An anchor of last year serves."""
    chain, _ = chain_of(2)
    kept = verify_chain(chain, public_key=KEY).newest
    attest(one_signer(), chain, rotation())
    assert verify_chain(chain, public_key=KEY, since=kept)


@pytest.mark.parametrize("since", ["", "x", "manifests/000000000001.json", f"{name(1)}@md5:0"])
def test_an_anchor_that_is_none(since: str) -> None:
    """It is refused with the form."""
    chain, _ = chain_of(1)
    with pytest.raises(ConfigError, match=r"is not a manifest of this chain\. Give name@sha256"):
        verify_chain(chain, public_key=KEY, since=since)


@pytest.mark.parametrize("key", ["", "ed25519:AAAA", "ed25519:!", "x" * 43, pem(), None, 7])
def test_a_public_key_that_is_none(key: object) -> None:
    """It is refused, and not shown: it may be the private one."""
    chain, _ = chain_of(1)
    with pytest.raises(ConfigError, match="not an Ed25519 public key") as caught:
        verify_chain(chain, public_key=[key])  # type: ignore[list-item] # the point
    assert "PRIVATE" not in str(caught.value)


def test_one_manifest() -> None:
    """It verifies as an object and as plain data; changed, it does not, and is named."""
    chain, objects = chain_of(1)
    manifest = decode(objects.stored[name(1)])
    assert verify_manifest(manifest, public_key=KEY)
    assert verify_manifest(manifest.to_dict(), public_key=[KEY])
    changed = {**manifest.to_dict(), "operator": "mallory"}
    with pytest.raises(ManifestInvalid, match=f"{manifest.manifest_id}' was changed"):
        verify_manifest(changed, public_key=KEY)
    with pytest.raises(ManifestInvalid, match="by a key that is not trusted"):
        verify_manifest(manifest, public_key=signer().public_key)
    with pytest.raises(ManifestInvalid, match="it is not a manifest"):
        verify_manifest({}, public_key=KEY)
    with pytest.raises(ConfigError, match="needs the public key"):
        verify_manifest(manifest)
    assert chain.end().manifest == manifest


def test_one_manifest_of_the_older_system() -> None:
    """It takes the HMAC key, and nothing else counts as one."""
    old = old_manifest(HMAC)
    assert verify_manifest(old, hmac_key=HMAC)
    assert verify_manifest(old.to_dict(), public_key=KEY, hmac_key=HMAC.encode())
    with pytest.raises(ConfigError, match="needs the HMAC key"):
        verify_manifest(old, public_key=KEY)
    with pytest.raises(ManifestInvalid, match="has a wrong signature"):
        verify_manifest(old, hmac_key="another")
    for signature in (None, "", "é", old.signature + "="):
        with pytest.raises(ManifestInvalid, match="has a wrong signature"):
            verify_manifest({**old.to_dict(), "signature": signature}, hmac_key=HMAC)
    with pytest.raises(ManifestInvalid, match="was changed"):
        verify_manifest({**old.to_dict(), "operator": "mallory"}, hmac_key=HMAC)


def with_old(count: int) -> tuple[Chain, MemoryObjects]:
    """Return a chain that begins with manifests of the older system."""
    objects = MemoryObjects()
    chain = Chain(objects)
    chain.fill(old_chain(HMAC, count))
    return chain, objects


def test_old_ones_are_covered_by_what_follows() -> None:
    """Without their key they are right once their import covers them, and not before."""
    chain, objects = with_old(3)
    assert verify_chain(chain, public_key=KEY, hmac_key=HMAC)
    report = verify_chain(chain, public_key=KEY)
    assert report.problems[0].name == name(1)
    assert "pass hmac_key" in report.problems[0].what
    *_, last = chain.manifests()
    for metadata in ({}, {"imported": 2, "last": last.manifest_hash}, {"imported": 3, "last": "x"}):
        attest(one_signer(), chain, rotation(kind="import", metadata=metadata))
    covers = {"imported": 3, "last": last.manifest_hash}
    attest(one_signer(), chain, rotation(metadata=covers))
    assert [p.name for p in verify_chain(chain, public_key=KEY).problems] == [name(1)]
    attest(one_signer(), chain, rotation(kind="import", metadata=covers))
    assert verify_chain(chain, public_key=KEY)
    edit(objects, 2, operator="mallory")
    assert verify_chain(chain, public_key=KEY).problems[0].name == name(2)


def test_an_old_one_is_not_forged_into_the_chain() -> None:
    """After one of ours none of the older system is believed, whoever has its HMAC key."""
    chain, objects = with_old(1)
    last = attest(one_signer(), chain, rotation()).manifest
    late = old_manifest(HMAC, last.manifest_hash)
    objects.stored[name(3)] = encode(late)
    report = verify_chain(chain, public_key=KEY, hmac_key=HMAC)
    assert [problem.name for problem in report.problems] == [name(3)]
    assert "follows a manifest that is not" in report.problems[0].what


def test_an_old_chain_whose_beginning_is_cut() -> None:
    """The first one there names one before it."""
    objects = MemoryObjects()
    chain = Chain(objects)
    chain.fill(old_chain(HMAC, 3)[1:])
    report = verify_chain(chain, public_key=KEY, hmac_key=HMAC)
    assert report.problems[0].name == name(1)
    assert "the beginning of the chain was cut off" in report.problems[0].what
