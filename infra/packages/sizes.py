"""How large each package is, and what each of its dependencies adds to that."""

import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from infra.packages.build import Built, owner

#: A function's code may take 250 MB unzipped on Lambda; a cold start is paid for by the megabyte.
LAMBDA_LIMIT = 45_000_000


def sizes(built: Built) -> tuple[Counter[str], Counter[str]]:
    """Return the bytes of each distribution in a package: unzipped, and in the zip."""
    unzipped, zipped = Counter[str](), Counter[str]()
    with zipfile.ZipFile(built.archive) as archive:
        for entry in archive.infolist():
            name = owner(PurePosixPath(entry.filename), built)
            unzipped[name] += entry.file_size
            zipped[name] += entry.compress_size
    return unzipped, zipped


def table(packages: Iterable[Built]) -> str:
    """Return the sizes as a Markdown table, in megabytes of a million bytes."""
    rows = [
        "| package | what | version | MB | MB zipped |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for built in packages:
        unzipped, zipped = sizes(built)
        versions = {library.name: library.version for library in built.libraries}
        label = f"{built.target.cloud}/{built.archive.name}"
        total = (sum(unzipped.values()), built.archive.stat().st_size)
        rows.append(_row(label, "**all of it**", "", *total))
        rows += [
            _row("", name, versions.get(name, ""), size, zipped[name])
            for name, size in sorted(unzipped.items(), key=lambda item: (-item[1], item[0]))
        ]
    return "\n".join(rows) + "\n"


def _row(package: str, what: str, version: str, size: int, zipped: int) -> str:
    return f"| {package} | {what} | {version} | {size / 1e6:.2f} | {zipped / 1e6:.2f} |"
