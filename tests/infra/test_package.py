"""The packages that are deployed: what is in them, for which machine, and the same every time."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra import package
from infra.packages import sizes
from infra.packages.build import Built
from infra.packages.targets import ROOT, targets
from tests.infra.built import DIST, path

ARCHIVES = [
    *("aws/daena-kms-x86_64.zip", "aws/daena-kms-arm64.zip"),
    *("azure/daena-kms-remote-build.zip", "azure/daena-kms-prebuilt.zip", "gcp/daena-kms.zip"),
]
#: e_machine in an ELF header. docs.kernel.org, "uapi/linux/elf-em.h"
MACHINES = {"x86_64": 62, "arm64": 183}
FOREIGN = {
    "aws": ("azure", "google", "grpc", "flask", "msal"),
    "azure": ("botocore", "google", "grpc", "flask", "aws_lambda_powertools"),
    "gcp": ("botocore", "azure", "msal", "aws_lambda_powertools"),
}


def names(archive: str) -> list[str]:
    """Return the files in a package."""
    with zipfile.ZipFile(path(archive)) as opened:
        return opened.namelist()


def bill(archive: str) -> dict[str, Any]:
    """Return a package's bill of materials."""
    found: dict[str, Any] = json.loads(path(archive.replace(".zip", ".cdx.json")).read_text())
    return found


def locked(cloud: str) -> dict[str, tuple[str, str]]:
    """Return what a cloud's lock file pins on Linux: by name, the version and the hashes."""
    text = (ROOT / "requirements" / f"function-{cloud}.txt").read_text().replace("\\\n", " ")
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", " ")):
            pin = Requirement(line.partition(" --hash")[0])
            if pin.marker is None or pin.marker.evaluate():
                version = str(pin.specifier).removeprefix("==")
                found[canonicalize_name(pin.name)] = (version, line)
    return found


@pytest.mark.parametrize("archive", ARCHIVES)
def test_a_package_holds_its_own_cloud_alone(archive: str) -> None:
    """No other cloud's library, no other store's module, no command line."""
    cloud = archive.partition("/")[0]
    inside = [name.removeprefix(".python_packages/lib/site-packages/") for name in names(archive)]
    tops = {PurePosixPath(name).parts[0] for name in inside}
    assert tops.isdisjoint(FOREIGN[cloud])
    others = tuple(f"daena_kms/stores/{c}" for c in ("aws", "azure", "gcp", "local") if c != cloud)
    assert [n for n in inside if n.startswith((*others, "daena_kms/cli"))] == []
    assert f"daena_kms/stores/{cloud}/store.py" in inside


def test_the_entry_points_are_where_each_cloud_looks() -> None:
    """At the root, with host.json and the list of requirements where the cloud wants them."""
    assert "handler.py" in names("aws/daena-kms-arm64.zip")
    for kind in ("remote-build", "prebuilt"):
        assert {"host.json", "function_app.py"} <= {*names(f"azure/daena-kms-{kind}.zip")}
    libraries = ".python_packages/lib/site-packages/azure/functions/__init__.py"
    assert libraries in names("azure/daena-kms-prebuilt.zip")
    assert {"main.py", "requirements.txt"} <= {*names("gcp/daena-kms.zip")}
    assert "requirements.txt" in names("azure/daena-kms-remote-build.zip")


@pytest.mark.parametrize("archive", ARCHIVES)
def test_a_package_holds_our_licence(archive: str) -> None:
    """The one of the project, at the root."""
    with zipfile.ZipFile(path(archive)) as opened:
        assert opened.read("LICENSE") == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", ["azure/daena-kms-remote-build", "gcp/daena-kms"])
def test_what_the_cloud_installs_is_what_the_tests_ran_with(name: str) -> None:
    """The list of requirements is the lock file, with its hashes."""
    lock = ROOT / "requirements" / f"function-{name.partition('/')[0]}.txt"
    assert (path(name) / "requirements.txt").read_bytes() == lock.read_bytes()


@pytest.mark.parametrize("architecture", MACHINES)
def test_compiled_libraries_are_for_their_machine(architecture: str) -> None:
    """Each shared object says so in its header."""
    objects = [*path(f"aws/{architecture}").rglob("*.so*")]
    assert len(objects) >= 3
    found = {int.from_bytes(file.read_bytes()[18:20], "little") for file in objects}
    assert found == {MACHINES[architecture]}


@pytest.mark.parametrize("archive", ["aws/daena-kms-x86_64.zip", "azure/daena-kms-prebuilt.zip"])
def test_every_module_is_compiled(archive: str) -> None:
    """A function that can't write its bytecode finds it."""
    inside = {PurePosixPath(name) for name in names(archive)}
    modules = {file for file in inside if file.suffix == ".py"}
    compiled = {f.parent / "__pycache__" / f"{f.stem}.cpython-313.pyc" for f in modules}
    assert len(modules) > 200
    assert {file for file in inside if file.suffix == ".pyc"} == compiled


@pytest.mark.parametrize("architecture", MACHINES)
def test_a_lambda_function_is_small_enough(architecture: str) -> None:
    """Under 45 MB unzipped."""
    folder = path(f"aws/{architecture}")
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < 45_000_000


def test_a_folder_holds_what_the_zip_holds() -> None:
    """Whichever of the two a template names, the same is deployed."""
    folder = path("aws/arm64")
    files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert files == {*names("aws/daena-kms-arm64.zip")}


def test_another_build_gives_the_same_bytes(tmp_path: Path) -> None:
    """From another folder, another time zone, other permissions: the same zip and the same bill."""
    done = subprocess.run(
        [sys.executable, ROOT / "infra" / "package.py", "aws", "--arch", "x86_64", "--out", "o"],
        cwd=tmp_path,
        # What the first build has fetched is at hand; a test uses no network.
        env=os.environ | {"UV_OFFLINE": "1", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "17"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("daena-kms-x86_64.zip", "daena-kms-x86_64.cdx.json"):
        assert (tmp_path / "o" / "aws" / name).read_bytes() == path(f"aws/{name}").read_bytes()
    assert "| aws/daena-kms-x86_64.zip | **all of it** |" in done.stdout


@pytest.mark.parametrize("archive", ARCHIVES)
def test_the_bill_of_materials_is_valid_and_complete(archive: str) -> None:
    """CycloneDX 1.6: the package's own hash, and each library at its locked version and hash."""
    text = path(archive.replace(".zip", ".cdx.json")).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found, lock = bill(archive), locked(archive.partition("/")[0])
    own = found["metadata"]["component"]["hashes"]
    assert own == [
        {"alg": "SHA-256", "content": hashlib.sha256(path(archive).read_bytes()).hexdigest()}
    ]
    assert "timestamp" not in found["metadata"]
    for library in found["components"]:
        version, line = lock[library["name"]]
        assert library["version"] == version
        assert [f"--hash=sha256:{h['content']}" in line for h in library["hashes"]] == [True]
        assert library["licenses"]
    if "remote" in archive or archive.startswith("gcp"):
        assert {library["name"] for library in found["components"]} == set(lock)


def test_the_bill_names_every_library_in_the_package() -> None:
    """What has metadata in the package has an entry, and the other way round."""
    metadata = {
        name.partition("-")[0] for name in names("aws/daena-kms-arm64.zip") if ".dist-info/" in name
    }
    entries = {library["name"] for library in bill("aws/daena-kms-arm64.zip")["components"]}
    assert {canonicalize_name(name) for name in metadata} == entries


def test_the_table_of_sizes_adds_up() -> None:
    """The rows of a package's libraries come to the whole of it."""
    rows = [line.split("|")[1:-1] for line in (DIST / "sizes.md").read_text().splitlines()[2:]]
    totals: list[float] = []
    parts: list[float] = []
    for package_name, _, _, size, _ in rows:
        if package_name.strip():
            totals.append(float(size))
            parts.append(0)
        else:
            parts[-1] += float(size)
    assert len(totals) == len(ARCHIVES)
    assert [abs(total - part) < 0.3 for total, part in zip(totals, parts, strict=True)] == [
        True
    ] * 5


def test_a_package_that_is_too_large_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says which, and fails, once it is built."""
    (target,) = targets("aws", ("x86_64",))
    archive = path("aws/daena-kms-x86_64.zip")
    there = Built(target, archive.with_suffix(""), archive, ())
    monkeypatch.setattr(package, "package", lambda *_given: [there])
    monkeypatch.setattr(package, "LAMBDA_LIMIT", 1000)
    assert package.main(["aws", "--arch", "x86_64", "--out", str(tmp_path)]) == 1
    assert "over 1000 bytes unzipped: daena-kms-x86_64" in capsys.readouterr().err


def test_only_lambda_has_architectures() -> None:
    """Elsewhere the platform has one."""
    assert [t.name for t in targets("aws", ("arm64",))] == ["daena-kms-arm64"]
    assert [t.platform for t in targets("aws", ("arm64",))] == ["aarch64-manylinux_2_28"]
    assert {t.architecture for c in ("azure", "gcp") for t in targets(c, ("arm64",))} == {"x86_64"}
    assert sizes.LAMBDA_LIMIT == 45_000_000
