"""After ``pip install '.[aws]'`` in an empty environment, the guide's examples for readers run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Place, examples, place, settled
from tests.docs.test_doc_examples import lead

CLOUDS = ["aws", "azure", "gcp"]
#: What each extra brings first, which the other two must not.
BRINGS = {"aws": "boto3", "azure": "azure-keyvault-secrets", "gcp": "google-cloud-secret-manager"}
UV = ROOT / ".uv" / "bin" / "uv"
PROFILE = """[profile production]
aws_access_key_id = AKIDPROFILE
aws_secret_access_key = unused
"""


def uv(*arguments: str, offline: bool = True) -> subprocess.CompletedProcess[str]:
    """Run uv, which has fetched what the lock names when this environment was made."""
    return subprocess.run(
        [str(UV), *arguments],
        cwd=ROOT,
        env=os.environ | {"UV_NO_CONFIG": "1"} | ({"UV_OFFLINE": "1"} if offline else {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is built to be installed."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--wheel", "--no-build-isolation", "--python", sys.executable)
    done = uv("build", "--quiet", *options, "--out-dir", str(folder), ".")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def installed(folder: Path, what: str) -> Path:
    """Return the interpreter of a new environment with one thing, at the versions of the lock."""
    made = uv("venv", "--quiet", "--python", sys.executable, str(folder))
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    locked = ("--constraint", str(ROOT / "requirements" / "dev.txt"))
    arguments = ("pip", "install", "--quiet", "--python", str(python), *locked, what)
    done = uv(*arguments)
    # On a machine whose cache was emptied since, by the package index that uv is set up for.
    done = done if done.returncode == 0 else uv(*arguments, offline=False)
    assert done.returncode == 0, done.stderr
    return python


def own_session() -> str:
    """Return the example of docs/AWS.md with a session of one's own."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "AWS.md").read_text(), re.DOTALL)
    return str(code)


def shown(where: Place, python: Path, code: str) -> str:
    """Run an example there and return what it prints."""
    done = where.run(str(python), "-I", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("store", CLOUDS)
def test_what_readers_are_shown_runs_after_the_install_alone(
    store: str, wheel: Path, tmp_path: Path
) -> None:
    """By the cloud's own library and by the adapter; nothing of another cloud is installed."""
    python = installed(tmp_path / "venv", f"{wheel}[{store}]")
    listed = uv("pip", "freeze", "--python", str(python)).stdout
    names = {line.partition("==")[0] for line in listed.splitlines()}
    assert names & set(BRINGS.values()) == {BRINGS[store]}
    reader, portable = [code for on, code in examples() if on == store][:2]
    assert ("daena_kms" in reader, "daena_kms" in portable) == (False, True)
    code = f"{lead(store, reader)}{reader}print(token)\n{portable}print(token)\n"
    (tmp_path / "home").mkdir()
    with place(store, tmp_path / "home") as found:
        where = settled(store, found)
        for command in (("create", "app-token", "--spec", "token"), ("rotate", "app-token")):
            assert where.run("daena-kms", *command, "--reason", "x").returncode == 0
        value = where.run("daena-kms", "show", "app-token", "--reveal").stdout
        # Not asserted of the texts themselves: a failure would print them.
        same = shown(where, python, code) == f"{value}\n" * 2
        assert same
        if store == "aws":
            (where.home / "config").write_text(PROFILE)
            where.environment["AWS_CONFIG_FILE"] = str(where.home / "config")
            end = "print(adapter.aws.session().get_credentials().access_key, summary.failed)"
            assert shown(where, python, f"{own_session()}{end}") == "AKIDPROFILE []\n"
