#!/usr/bin/env python
"""Builds what each cloud deploys: ``make package``, or ``infra/package.py aws --arch arm64``.

It writes a bill of materials (CycloneDX) beside each package, and a table of sizes to
``dist/sizes.md``. Two builds of one source are the same bytes.
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from infra.packages.build import Built, build
from infra.packages.sbom import bill_of_materials
from infra.packages.sizes import LAMBDA_LIMIT, sizes, table
from infra.packages.targets import ARCHITECTURES, ROOT, targets

CLOUDS = ("aws", "azure", "gcp")


def package(clouds: tuple[str, ...], architectures: tuple[str, ...], dist: Path) -> list[Built]:
    """Build the clouds' packages, each with its bill of materials."""
    packages = []
    for target in (each for cloud in clouds for each in targets(cloud, architectures)):
        built = build(target, dist)
        bill = built.archive.with_suffix(".cdx.json")
        bill.write_text(bill_of_materials(built), encoding="utf-8")
        packages.append(built)
    return packages


def main(arguments: list[str] | None = None) -> int:
    """Build, and print the table of sizes. Fails when a Lambda function is too large."""
    parser = argparse.ArgumentParser(description="Build what each cloud deploys")
    parser.add_argument("cloud", nargs="?", default="all", choices=[*CLOUDS, "all"])
    parser.add_argument("--arch", choices=ARCHITECTURES, help="for Lambda; default: both")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default: dist")
    given = parser.parse_args(arguments)
    clouds = CLOUDS if given.cloud == "all" else (given.cloud,)
    architectures = (given.arch,) if given.arch else tuple(ARCHITECTURES)
    packages = package(clouds, architectures, given.out.resolve())
    rows = table(packages)
    (given.out / "sizes.md").write_text(rows, encoding="utf-8")
    sys.stdout.write(rows)
    lambdas = (built for built in packages if built.target.cloud == "aws")
    large = [b.target.name for b in lambdas if sum(sizes(b)[0].values()) > LAMBDA_LIMIT]
    if large:
        sys.stderr.write(f"package: over {LAMBDA_LIMIT} bytes unzipped: {', '.join(large)}\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
