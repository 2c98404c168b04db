"""The local store's master key, and several processes in one store at once."""

import base64
import secrets
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from daena_kms.errors import AccessDenied, ConfigError
from daena_kms.rules.names import mark
from daena_kms.stores.local.store import LocalStore

from tests.unit.keys import NOW
from tests.unit.local_keys import fingerprint, local, reading

FORM = "Use base64 of 32 random bytes: openssl rand -base64 32"
# Waits for a line, so that all begin together; creates a key of its own; rotates one of all.
CREATE_AND_ROTATE = """
import sys
from daena_kms.cloud_kms import LocalAdapter
from daena_kms.errors import KeyExists, RotationConflict
home, number = sys.argv[1:]
adapter = LocalAdapter(home)
sys.stdin.readline()
adapter.create_key("own-" + number)
try:
    adapter.create_key("shared")
except KeyExists:
    pass
won = 0
for _ in range(10):
    try:
        adapter.rotate_key("shared")
        won += 1
    except RotationConflict:
        pass
print(won)
"""
# A child rotates and leaves as children do; the parent goes on with its own connection.
FORK = """
import os, sys
from pathlib import Path
from daena_kms.cloud_kms import LocalAdapter
adapter = LocalAdapter(sys.argv[1])

def opened():
    files = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    return sum(name.endswith("keys.db") for name in files)

first = adapter.create_key("k")
child = os.fork()
if child == 0:
    before = opened()
    right = adapter.get_key("k") == first and adapter.rotate_key("k") != first
    os._exit(0 if right and opened() > before else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert adapter.get_key("k", "previous") == first
adapter.rotate_key("k")
assert len(adapter.store.describe("k").versions) == 3
"""


def fresh_key() -> str:
    """Return a master key in its form."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store that holds one key."""
    folder = tmp_path / "deep" / "home"
    with closing(LocalStore(folder)) as store:
        store.create("k", secrets.token_urlsafe(), {}, NOW)
    return folder


def test_a_master_key_is_made_for_its_owner_alone(home: Path) -> None:
    """The folder and the key are the owner's, the key has its form, and nothing else is left."""
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    key = home / "master.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    size = len(base64.b64decode(key.read_bytes(), validate=True))
    assert size == 32
    assert sorted(path.name for path in home.iterdir()) == ["keys.db", "keys.id", "master.key"]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o602, 0o610])
def test_a_master_key_that_others_can_use_is_refused(home: Path, mode: int) -> None:
    """The error says which file, and the command that mends it."""
    (home / "master.key").chmod(mode)
    with closing(LocalStore(home)) as store:
        with pytest.raises(ConfigError) as refused:
            store.read("k")
        key = home / "master.key"
        assert str(refused.value) == f"{key} is readable by others. Run: chmod 600 {key}"
        key.chmod(0o600)
        assert store.read("k")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"no base64!",
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(33)),
        base64.b64encode(bytes(32))[:-1],
        b"\xff\xfe" + bytes(30),
        "\u00e9".encode() * 22,
    ],
)
def test_a_malformed_master_key_is_refused(home: Path, content: bytes) -> None:
    """The error says which file, and what a master key is; raw bytes are no master key either."""
    (home / "master.key").write_bytes(content)
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError) as refused:
        store.read("k")
    assert str(refused.value) == f"{home / 'master.key'} is not a master key. {FORM}"


@pytest.mark.parametrize("text", ["x", "\u00e9" * 44, base64.b64encode(bytes(16)).decode()])
def test_a_malformed_key_in_the_environment_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The error names the variable, and not what it holds."""
    monkeypatch.setenv("DAENA_KMS_MASTER_KEY", text)
    with pytest.raises(ConfigError) as refused:
        local(home).get_key("k")
    assert str(refused.value) == f"DAENA_KMS_MASTER_KEY is not a master key. {FORM}"


def test_a_wrong_master_key_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another key, in the file or in the environment, opens nothing and writes nothing."""
    right = (home / "master.key").read_text()
    before = (home / "keys.db").read_bytes()
    message = f"the master key is not that of the local store {home / 'keys.db'}"
    todo = "Use the key that the store was made with, in DAENA_KMS_MASTER_KEY or master.key"

    def refuse() -> None:
        for call in ("get_key", "create_key", "rotate_key"):
            with pytest.raises(ConfigError) as refused:
                getattr(local(home), call)("k" if call != "create_key" else "new")
            assert (refused.value.what, refused.value.todo) == (message, todo)

    (home / "master.key").write_text(fresh_key())
    refuse()
    monkeypatch.setenv("DAENA_KMS_MASTER_KEY", fresh_key())
    refuse()
    unchanged = (home / "keys.db").read_bytes() == before
    assert unchanged
    monkeypatch.setenv("DAENA_KMS_MASTER_KEY", right)
    assert local(home).get_key("k")


def test_a_missing_master_key_is_not_made_anew(home: Path) -> None:
    """Beside a database a fresh key could open nothing: the old one is asked for."""
    (home / "master.key").unlink()
    with closing(LocalStore(home)) as store, pytest.raises(ConfigError) as refused:
        store.read("k")
    key, database = home / "master.key", home / "keys.db"
    assert refused.value.what == f"{key} is missing, and {database} can't be decrypted without it"
    assert refused.value.todo == "Put the file back, or set DAENA_KMS_MASTER_KEY"
    assert not key.exists()


def test_a_key_in_the_environment_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is written where the environment holds the key, and it opens what it sealed."""
    monkeypatch.setenv("DAENA_KMS_MASTER_KEY", fresh_key())
    first = fingerprint(local(tmp_path).create_key("k"))
    assert not (tmp_path / "master.key").exists()
    assert reading(local(tmp_path), "k") == first
    monkeypatch.delenv("DAENA_KMS_MASTER_KEY")
    with pytest.raises(ConfigError, match=r"master\.key is missing"):
        local(tmp_path).get_key("k")


def test_a_folder_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the place of the folder is told, with what to do."""
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(AccessDenied) as refused:
            local(home).create_key("k")
        assert refused.value.what.startswith(f"the local store's folder {home} can't be used: ")
        assert refused.value.todo == "Set DAENA_KMS_HOME to a folder of your own"


def test_the_first_use_may_be_raced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that finds no master key, because another is just making the store, uses theirs."""
    exists = Path.exists
    raced = False

    def race(path: Path, *, follow_symlinks: bool = True) -> bool:
        nonlocal raced
        found = exists(path, follow_symlinks=follow_symlinks)
        if path.name == "master.key" and not raced:
            raced = True
            LocalStore(tmp_path).create("theirs", secrets.token_urlsafe(), {}, NOW)
        return found

    monkeypatch.setattr(Path, "exists", race)
    store = LocalStore(tmp_path)
    store.create("ours", secrets.token_urlsafe(), {}, NOW)
    assert raced
    assert store.read("theirs")


def test_processes_share_a_store_from_its_first_moment(tmp_path: Path) -> None:
    """Six at once make one master key, lose no key, and rotate one key in one unbroken line."""
    home = tmp_path / "home"
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CREATE_AND_ROTATE, str(home), str(number)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(6)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        won = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 6
    assert sorted(path.name for path in home.iterdir()) == ["keys.db", "keys.id", "master.key"]
    with closing(LocalStore(home)) as store:
        keys = {key.id: key for key in store.scan()}
        assert keys.keys() == {"shared", *(f"own-{number}" for number in range(6))}
        versions = keys["shared"].versions
        assert len(versions) == 1 + sum(won)
        assert {v.base_mark for v in versions} == {
            mark(None),
            *(mark(v.id) for v in versions if v is not keys["shared"].current),
        }
        readable = [bool(store.read(key.id, v.id)) for key in keys.values() for v in key.versions]
    assert all(readable)
    assert sum(won) >= 10


def test_a_store_survives_a_fork(tmp_path: Path) -> None:
    """A child opens the file for itself, and parent and child see each other's changes."""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, str(tmp_path)],
        check=True,
        timeout=60,
        capture_output=True,
    )
