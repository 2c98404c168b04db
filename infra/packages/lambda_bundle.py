"""Packs a Lambda function out of what is installed here, for a local AWS.

The bundle is built by the same rules as the deployed one (:mod:`infra.packages.packing`), but
downloads nothing: its files are those of the installed distributions.
"""

import importlib.metadata
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from daena_kms.errors import ConfigError

from infra.packages import packing

#: The distributions that the AWS functions import. What those require is found from them.
DISTRIBUTIONS = ("aws-lambda-powertools", "botocore", "cryptography", "obstore")


def closure(distributions: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """Return the named distributions and all that they require, without extras, sorted by name.

    Raises:
        ConfigError: one of them is not installed.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(name, True) for name in distributions]
    while waiting:
        name, needed = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            found[key] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # A requirement with a marker may be for another platform or version of Python.
            if not needed:
                continue
            raise ConfigError(
                f"the function needs the package {name}, which is not installed",
                todo="Install the extra for AWS: pip install 'daena-kms[aws]'",
            ) from None
        for requirement in found[key].requires or []:
            specifier, _, marker = requirement.partition(";")
            match = re.match(r"[A-Za-z0-9._-]+", specifier.strip())
            if match and "extra" not in marker:
                waiting.append((match.group(), not marker))
    return [found[key] for key in sorted(found)]


def build(target: Path, handler: Path, *, distributions: Iterable[str] = DISTRIBUTIONS) -> None:
    """Fill the folder with the files of a deployed package, taken from what is installed here.

    Raises:
        ConfigError: a distribution is not installed.
    """
    packing.copy_own(target, handler, "aws")
    for distribution in closure(distributions):
        for file in packing.kept(distribution.files or (), "aws"):
            destination = target / file
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), destination)
    packing.compile_all(target, "/var/task")
