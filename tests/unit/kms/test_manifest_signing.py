"""Where the signing key comes from, what is refused as one, and what it can't be told from."""

import hashlib
import hmac
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daena_kms.errors import ConfigError
from daena_kms.kms.manifests.signing import Signer, checks, load_signer, normalized
from daena_kms.rules.specs import generate, parse_spec

from tests.unit.kms.manifests import pem, public_pem, signer


def test_a_signature_is_checked_with_the_public_key() -> None:
    """In either form of the key; of another hash, or by another key, it is none."""
    own = signer()
    signature = own.sign("ab" * 32)
    for key in (own.public_key, public_pem(own)):
        assert checks(key, "ab" * 32, signature)
    assert not checks(own.public_key, "cd" * 32, signature)
    assert not checks(signer().public_key, "ab" * 32, signature)
    assert not checks(own.public_key, "ab" * 32, signature.replace("ed25519:", "ed448:"))


def test_a_signature_has_one_form() -> None:
    """Nothing but the signature covers its own text: other base64 of the same bytes is none."""
    own = signer()
    signature = next(s for n in range(99) if {*"-_"} & {*(s := own.sign(f"{n:064}"))[8:]})
    number = next(f"{n:064}" for n in range(99) if own.sign(f"{n:064}") == signature)
    assert checks(own.public_key, number, signature)
    last = chr(ord(signature[-1]) + 1)  # of the last character, two bits count
    for other in (
        signature[:-1] + last,
        signature + "==",
        signature.replace("-", "+").replace("_", "/"),
    ):
        assert other != signature
        assert not checks(own.public_key, number, other)


def test_a_public_key_has_one_short_form() -> None:
    """PEM becomes it, and it stays as it is."""
    own = signer()
    assert normalized(public_pem(own)) == normalized(own.public_key) == own.public_key
    assert own.public_key.startswith("ed25519:")


def test_openssl_makes_and_reads_the_same_keys(tmp_path: Path) -> None:
    """What the error says to make one with makes one."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "signing.pem"
    subprocess.run([program, "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True)
    path.chmod(0o600)
    made = load_signer(str(path), None)
    shown = subprocess.run(
        [program, "pkey", "-in", str(path), "-pubout"], check=True, capture_output=True, text=True
    )
    assert normalized(shown.stdout) == made.public_key


def test_nothing_shows_the_key(tmp_path: Path) -> None:
    """Neither the signer nor an error."""
    text = pem()
    made = Signer.from_pem(text)
    secret = "".join(text.splitlines()[1:-1])
    assert secret not in repr(made) + repr(vars(made))
    broken = text.replace("PRIVATE", "PUBLIC")
    with pytest.raises(ConfigError) as caught:
        load_signer(broken, tmp_path)
    assert caught.value.__context__ is None
    assert secret not in str(caught.value)


def test_the_fingerprint_takes_the_private_key() -> None:
    """No hash of the value, nor one keyed with anything public, is the fingerprint."""
    own = signer()
    found = own.fingerprint("some-key", "hunter2")
    public = own.public_key
    for message in (b"hunter2", b"some-key\0hunter2"):
        assert hashlib.sha256(message).hexdigest() not in found
        for known in (public.encode(), b"some-key", b""):
            assert hmac.new(known, message, hashlib.sha256).hexdigest() not in found
    assert found == own.fingerprint("some-key", "hunter2")
    assert found != signer().fingerprint("some-key", "hunter2")


def test_it_is_made_on_first_use(tmp_path: Path) -> None:
    """In a home of the owner's alone, with mode 0600, once."""
    home = tmp_path / "new" / "home"
    made = load_signer(None, home)
    path = home / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert load_signer(None, home).public_key == made.public_key
    assert [p.name for p in home.iterdir()] == ["signing.key"]


def test_many_at_once_make_one(tmp_path: Path) -> None:
    """Of twenty first users all get the same key."""
    barrier = threading.Barrier(20)
    found: set[str] = set()

    def use() -> None:
        barrier.wait(30)
        found.add(load_signer(None, tmp_path / "home").public_key)

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


def test_it_may_be_given_as_text_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PEM, a path, or one from the home folder."""
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_text(pem(key))
    path.chmod(0o400)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = Signer(key).public_key
    for given in (pem(key), "\n" + pem(key), str(path), "~/key.pem"):
        assert load_signer(given, None).public_key == expected


def _other(kind: str) -> str:
    match kind:
        case "rsa" | "ec":
            spec = parse_spec({"rsa": "rsa-3072", "ec": "ec-p256"}[kind])
            return generate(spec, lambda n: b"\0" * n)
        case "garbage":
            return "-----BEGIN PRIVATE KEY-----" + "\nAAAA\n-----END PRIVATE KEY-----"
        case "public":
            return public_pem(signer())
        case _:
            return "-----"


@pytest.mark.parametrize("kind", ["rsa", "ec", "garbage", "public", "empty"])
def test_what_is_no_signing_key(kind: str, tmp_path: Path) -> None:
    """Another kind of key, or none, is refused with how to make one, as text and as a file."""
    text = _other(kind)
    words = r"is not an Ed25519 private key in PEM\. Make one: openssl genpkey -algorithm ed25519"
    with pytest.raises(ConfigError, match=f"^DAENA_KMS_SIGNING_KEY {words}"):
        load_signer(text, None)
    path = tmp_path / "key.pem"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=f"key.pem {words}"):
        load_signer(str(path), None)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"key.pem {words}"):
        load_signer(str(path), None)


def test_files_that_can_t_serve(tmp_path: Path) -> None:
    """One that others can read, none at all, a folder, and a link to itself."""
    load_signer(None, tmp_path)
    path = tmp_path / "signing.key"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"readable by others. Run: chmod 600 {path}"):
        load_signer(None, tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="folder is not a regular file"):
        load_signer(str(folder), None)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(ConfigError, match="nor a file that can be read: Too many levels"):
        load_signer(str(loop), None)


def _without_its_lines(text: str) -> str:
    return "".join(text.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_its_lines, "No such file"),
        (lambda text: f'"{text}"', "No such file"),
        (lambda text: text * 40, "File name too long"),
        (lambda text: _without_its_lines(text) + "\0", "it is not a path"),
        (lambda text: "~no-such-user/" + _without_its_lines(text), "it is not a path"),
    ],
)
def test_what_is_no_path_is_not_shown(spoil: Callable[[str], str], why: str) -> None:
    """It may be the key itself, in a form that is not known as one."""
    text = pem()
    given = spoil(text).lstrip("-")
    with pytest.raises(ConfigError, match=f"nor a file that can be read: {why}") as caught:
        load_signer(given, None)
    assert caught.value.__context__ is None
    assert _without_its_lines(text) not in str(caught.value)


def test_a_home_that_can_t_be_made(tmp_path: Path) -> None:
    """The error names the folder, or what is to be set."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"file.home can't be created: Not a directory"):
        load_signer(None, tmp_path / "file" / "home")
    with pytest.raises(ConfigError, match=r"signing.key can't be read: File name too long"):
        load_signer(None, tmp_path / ("x" * 300))
    with pytest.raises(ConfigError, match="Set DAENA_KMS_SIGNING_KEY to an Ed25519 key"):
        load_signer(None, None)


def test_other_keys_are_told_apart() -> None:
    """A public key of another kind is none."""
    from cryptography.hazmat.primitives import serialization

    for key in (
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
    ):
        text = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        with pytest.raises(ConfigError, match="not an Ed25519 public key"):
            normalized(text)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
@pytest.mark.parametrize("given", [False, True], ids=["in the home", "given"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, given: bool) -> None:
    """Nothing is waited for, and no endless device is read."""
    path = tmp_path / "signing.key"
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir(mode=0o700)
        case _:
            path.write_bytes(b"-" * 100_000)
            path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        load_signer(str(path) if given else None, tmp_path)
    assert "/dev" in str(refused.value) or str(path) in str(refused.value)


def test_a_key_in_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """They could exchange it; the error has the command that mends it."""
    load_signer(None, tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write to") as refused:
        load_signer(None, tmp_path)
    assert refused.value.todo == f"Run: chmod go-w {tmp_path}"


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else could read it, and change it."""
    load_signer(None, tmp_path)
    path, fstat = tmp_path / "signing.key", os.fstat
    mine = path.stat()

    def other(handle: int) -> os.stat_result:
        seen = fstat(handle)
        if seen.st_ino != mine.st_ino:
            return seen
        return os.stat_result([*seen[:4], 4711, *seen[5:10]])

    monkeypatch.setattr(os, "fstat", other)
    with pytest.raises(ConfigError, match=r"belongs to another user \(uid 4711\)") as refused:
        load_signer(None, tmp_path)
    assert f"chown {os.geteuid()} {path}" in str(refused.value)
