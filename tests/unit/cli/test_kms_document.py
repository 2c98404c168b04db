"""docs/KMS_SERVICE.md says what the service does, and its examples run as they stand there."""

import inspect
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from daena_kms.kms import KeyManagementService
from daena_kms.kms.manifests.content import MAX_METADATA
from daena_kms.kms.manifests.format import FORMAT
from daena_kms.kms.manifests.format import parse as parse_manifest
from daena_kms.rules.model import Capabilities
from daena_kms.stores.aws.store import AWSStore
from daena_kms.stores.azure.store import AzureStore
from daena_kms.stores.gcp.store import GCPStore
from daena_kms.stores.local.store import LocalStore

from tests.unit.kms.manifests import chain_of, old_chain, write_old

TEXT = (Path(__file__).parents[3] / "docs" / "KMS_SERVICE.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
IMPORT = "import_manifests"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``~`` be the test's folder; undo what the examples set."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAENA_KMS_HOME", "set by the example")
    monkeypatch.chdir(tmp_path)


def section(heading: str) -> str:
    """A section without its heading."""
    return re.split(r"^## ", TEXT.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def test_the_examples_run_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    """From an empty home to a rollback, in one program as a reader would type it."""
    examples = [block for block in BLOCKS if IMPORT not in block]
    assert len(examples) == 4
    names: dict[str, object] = {}
    for number, example in enumerate(examples):
        exec(compile(example, f"KMS_SERVICE.md {number}", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"create daena-\S+ manifests/000000000001\.json@sha256:[0-9a-f]{64}", said[0]
    )
    assert said[1].startswith("1 manifests [] manifests/000000000001.json@sha256:")
    assert said[2] == LocalStore.can.delete_means
    kms = names["kms"]
    assert isinstance(kms, KeyManagementService)
    assert [m.kind for m in kms.iter_manifests()] == ["create", "rotate", "rollback"]


def test_the_import_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder and the secret of the example."""
    example = next(block for block in BLOCKS if IMPORT in block)
    secret = re.search(r'hmac_key="([^"]+)"', example)
    assert secret is not None
    monkeypatch.setenv("DAENA_KMS_HOME", str(tmp_path / "home"))
    write_old(tmp_path / "old-manifests", old_chain(secret[1], 3))
    names: dict[str, object] = {"KeyManagementService": KeyManagementService}
    exec(compile(example, "KMS_SERVICE.md", "exec"), names)
    assert names["count"] == 3
    assert KeyManagementService().verify_chain().manifests == 4


def test_the_signing_key_of_the_text_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command makes a key that the service takes."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    block = re.search(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    assert block is not None
    lines = [line.removeprefix("$ ") for line in block[1].splitlines()]
    script = "\n".join([*lines, 'echo "$DAENA_KMS_SIGNING_KEY"'])
    done = subprocess.run(
        ["/bin/bash", "-ec", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("DAENA_KMS_SIGNING_KEY", done.stdout.strip())
    assert KeyManagementService().public_key.startswith("ed25519:")


def test_every_method_is_in_the_table() -> None:
    """With its parameters, and none that is not there."""
    table = section("What it does").split("\n\n")[0] + section("What it does").split("\n\n")[1]
    shown = {name for name, _ in re.findall(r"`(\w+)\(([^)]*)\)`", table)}
    public = {
        name
        for name, found in inspect.getmembers(KeyManagementService, inspect.isfunction)
        if not name.startswith("_")
    }
    assert shown == public
    for name, parameters in re.findall(r"`(\w+)\(([^)]*)\)`", table):
        known = inspect.signature(getattr(KeyManagementService, name)).parameters
        assert {p.partition("=")[0].strip() for p in parameters.split(",") if p} <= set(known)


def test_every_field_is_in_the_table() -> None:
    """Neither one more nor one less than a manifest has."""
    rows = re.findall(r"^\| (`.*?) \|", section("Manifests"), flags=re.MULTILINE)
    fields = {field for row in rows for field in re.findall(r"`(\w+)`", row)}
    manifest = next(chain_of(1)[0].manifests())
    assert fields == set(manifest.to_dict())
    assert f"the format, {FORMAT}," in TEXT
    assert f"of up to {MAX_METADATA:,} bytes" in TEXT


def test_the_older_fields_are_those_that_are_taken() -> None:
    """The nine of the text make a manifest of the older system."""
    listed = re.search(r"nine of the fields above \((.*?)\)", TEXT)
    assert listed is not None
    names = re.findall(r"`(\w+)`", listed[1])
    raw: dict[str, object] = {**dict.fromkeys(names, "x"), "metadata": {}}
    assert len(names) == 9
    assert parse_manifest(raw).old


@pytest.mark.parametrize(
    ("can", "words"),
    [
        (LocalStore.can, "until it is restored"),
        (AWSStore.can, "30 days"),
        (AzureStore.can, "7 to 90 days"),
        (GCPStore.can, "until somebody purges it"),
    ],
)
def test_the_windows_are_those_of_the_stores(can: Capabilities, words: str) -> None:
    """The table of recovery says what delete_key says."""
    assert words in can.delete_means
    assert words in section("Recovery")
