"""What of this package and of others goes into a function's package, and in what form."""

import importlib.util
import io
import os
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from daena_kms.errors import ConfigError
from daena_kms.settings import PROVIDERS

from infra.packages import packing
from infra.packages.targets import targets

ROOT = Path(__file__).parents[2]
HANDLERS = {
    "aws": ROOT / "functions_aws" / "handler.py",
    "azure": ROOT / "functions_azure" / "function_app.py",
    "gcp": ROOT / "functions_gcp" / "main.py",
}
PACKAGE = ROOT / "core" / "daena_kms"


def own(cloud: str) -> set[str]:
    """Return the modules that a cloud's function is packed with, by their path in the package."""
    return {
        path.relative_to(PACKAGE).as_posix() for path in packing.reached(HANDLERS[cloud], cloud)
    }


@pytest.mark.parametrize("cloud", HANDLERS)
def test_a_function_has_its_own_store_and_no_other(cloud: str) -> None:
    """Of the stores and of the places for objects, those of its cloud and what all share."""
    modules = own(cloud)
    others = set(PROVIDERS) - {cloud}
    assert f"stores/{cloud}/store.py" in modules
    foreign = tuple(f"{part}/{o}" for part in ("stores", "sdk", "platforms") for o in others)
    assert not any(name.startswith(foreign) for name in modules)
    shared = {"engine/run.py", "rules/plan.py", "stores/base.py", "objects/base.py", "__init__.py"}
    assert shared <= modules
    assert not any(name.startswith(("cli/", "kms/", "doctor/")) for name in modules)


@pytest.mark.parametrize("cloud", PROVIDERS)
def test_what_is_built_for_a_cloud_is_its_own(cloud: str) -> None:
    """A cloud whose functions nobody wrote gets no other cloud's package."""
    if cloud in HANDLERS:
        built = targets(cloud, ("x86_64",))
        assert {target.source / target.handler for target in built} == {HANDLERS[cloud]}
    else:
        with pytest.raises(ValueError, match=cloud):
            targets(cloud, ("x86_64",))


def test_what_a_handler_imports_on_use_is_reached_too(tmp_path: Path) -> None:
    """An import in a function counts, one for type checkers alone doesn't."""
    handler = tmp_path / "handler.py"
    handler.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from daena_kms.engine import run\n"
        "else:\n    import daena_kms.rules.due\n"
        "def later():\n    from daena_kms.rules import durations\n"
    )
    names = {path.name for path in packing.reached(handler, "aws")}
    assert {"__init__.py", "due.py", "durations.py"} <= names
    assert "run.py" not in names


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("botocore/client.py", True),
        ("botocore/data/endpoints.json", True),
        ("botocore/data/kms/2014-11-01/service-2.json.gz", True),
        ("botocore/data/kms/2014-11-01/paginators-1.json", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("obstore/_store/_aws.pyi", False),
        ("six-1.17.0.dist-info/METADATA", True),
        ("six-1.17.0.dist-info/licenses/LICENSE", True),
        ("six-1.17.0.dist-info/RECORD", False),
        ("any/tests/test_it.py", False),
        ("bin/program", False),
        ("../../bin/jp.py", False),
        ("/etc/passwd", False),
    ],
)
def test_what_belongs_into_a_package(name: str, there: bool) -> None:
    """Modules and the data that they read; nothing for people, compilers or type checkers."""
    assert packing.belongs(PurePosixPath(name), "aws") is there


def test_a_distribution_that_leaves_its_metadata_alone_is_left_out() -> None:
    """There is no use in saying that something is there which is not."""
    files = [
        PurePosixPath(name) for name in ("pycparser/lexer.py", "pycparser-3.dist-info/METADATA")
    ]
    assert packing.kept(files, "aws") == []
    assert packing.kept([*files, PurePosixPath("other.py")], "aws") == [
        files[1],
        PurePosixPath("other.py"),
    ]


def test_packing_the_same_files_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither times nor modes nor the order of writing show in the zip."""
    for folder, order in (("a", ("x.py", "y.py")), ("b", ("y.py", "x.py"))):
        (tmp_path / folder).mkdir()
        for name in order:
            (tmp_path / folder / name).write_text(name)
            (tmp_path / folder / name).chmod(0o600 if folder == "a" else 0o755)
            os.utime(tmp_path / folder / name, (0, len(order[0] + folder) * 1e8))

    packed = packing.pack(tmp_path / "a")
    assert packed == packing.pack(tmp_path / "b")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["x.py", "y.py"]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}


def test_compiled_modules_are_loaded_whatever_the_time_of_their_source(tmp_path: Path) -> None:
    """The bytecode names the deployed file, and its source is not compared with it."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text("def here():\n    return {1, 'b', None}\n")
        packing.compile_all(tmp_path / folder, "/var/task")
    a, b = (tmp_path / folder / "__pycache__" / "module.cpython-313.pyc" for folder in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()
    assert b"/var/task/module.py" in a.read_bytes()
    assert str(tmp_path).encode() not in a.read_bytes()
    # PEP 552: bit 0 says that a hash stands for the time, bit 1 that the source is looked at.
    assert a.read_bytes()[:8] == importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")


def test_what_can_t_be_compiled_is_an_error(tmp_path: Path) -> None:
    """A package with a broken module is not packed."""
    (tmp_path / "broken.py").write_text("def")
    with pytest.raises(ConfigError, match="can't be compiled"):
        packing.compile_all(tmp_path, "/var/task")
