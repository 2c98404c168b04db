"""Builds one package: a folder, then the same bytes as a zip."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from infra.packages import packing
from infra.packages.install import Library, install
from infra.packages.targets import ROOT, Target

#: A higher level takes three times as long and saves one per cent.
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Built:
    """One package and what is in it."""

    target: Target
    folder: Path
    archive: Path
    #: What is in it, or what the cloud installs beside it.
    libraries: tuple[Library, ...]


def build(target: Target, dist: Path) -> Built:
    """Build a package into ``dist/<cloud>/``."""
    place = dist / target.cloud
    # A template names Lambda's folder, so the folder is named after the architecture.
    folder = place / (target.architecture if target.cloud == "aws" else target.name)
    shutil.rmtree(folder, ignore_errors=True)
    packing.copy_own(folder, target.source / target.handler, target.cloud)
    for name in target.further:
        shutil.copyfile(target.source / name, folder / name)
    # Whoever passes the package on must pass on the licence too.
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    with tempfile.TemporaryDirectory(dir=place) as made:
        installed = Path(made)
        libraries = tuple(install(target, installed))
        if target.libraries is None:
            # With hashes, the cloud installs exactly the packages that the tests ran with.
            shutil.copyfile(target.requirements, folder / "requirements.txt")
        else:
            libraries = _copy_libraries(
                libraries, installed, folder / target.libraries, target.cloud
            )
    if target.libraries is not None:
        packing.compile_all(folder, target.deployed)
    archive = place / f"{target.name}.zip"
    archive.write_bytes(packing.pack(folder, level=_LEVEL))
    return Built(target, folder, archive, libraries)


def _copy_libraries(
    libraries: tuple[Library, ...], installed: Path, target: Path, cloud: str
) -> tuple[Library, ...]:
    """Copy what belongs into the package, and return the libraries that have any files in it."""
    files = {library.name: packing.kept(library.files, cloud) for library in libraries}
    for file in (each for kept in files.values() for each in kept):
        copy = target / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(installed / file, copy)
    return tuple(library for library in libraries if files[library.name])


def owner(file: PurePosixPath, built: Built) -> str:
    """Return the distribution that a file in a package comes from."""
    where = built.target.libraries
    if where is None or not file.is_relative_to(where):
        return "daena-kms"
    inside = source(file.relative_to(where))
    return next((lib.name for lib in built.libraries if inside in lib.files), "daena-kms")


def source(file: PurePosixPath) -> PurePosixPath:
    """Return the module that a compiled file was made from; any other file is its own source."""
    if file.suffix != ".pyc":
        return file
    return file.parent.parent / f"{file.name.partition('.')[0]}.py"
