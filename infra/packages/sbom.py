"""The bill of materials of a package: CycloneDX 1.6, the same bytes for the same package."""

import hashlib
import tomllib
import uuid

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from infra.packages.build import Built
from infra.packages.install import Library
from infra.packages.targets import ROOT

_NAMESPACE = uuid.UUID("7d9bd7a1-c94c-4d8d-9b1b-1fd6c4fb2ac0")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def bill_of_materials(built: Built) -> str:
    """Return the document: the package by its own hash, each library by its wheel's.

    Without a date, and with a serial number that follows from the package, because two builds of
    one source have one bill.
    """
    digest = hashlib.sha256(built.archive.read_bytes()).hexdigest()
    components = {library.name: _component(library) for library in built.libraries}
    package = Component(
        name=built.target.name,
        type=ComponentType.APPLICATION,
        version=_PROJECT["version"],
        bom_ref=built.target.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseFactory().make_from_string(_PROJECT["license"])],
        properties=[
            Property(name="daena-kms:platform", value=built.target.platform),
            Property(name="daena-kms:libraries", value=_where(built)),
        ],
    )
    document = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, digest),
        metadata=BomMetaData(component=package),
        components=components.values(),
    )
    document.metadata.timestamp = None  # type: ignore[assignment] # the format lets it be left out
    needed = {name for library in built.libraries for name in library.requires}
    document.register_dependency(package, [c for n, c in components.items() if n not in needed])
    for library in built.libraries:
        requires = [components[name] for name in library.requires if name in components]
        document.register_dependency(components[library.name], requires)
    return JsonV1Dot6(document).output_as_string(indent=2) + "\n"


def _where(built: Built) -> str:
    return "installed by the cloud" if built.target.libraries is None else "in the package"


def _component(library: Library) -> Component:
    address = PackageURL("pypi", name=library.name, version=library.version)
    return Component(
        name=library.name,
        type=ComponentType.LIBRARY,
        version=library.version,
        bom_ref=str(address),
        purl=address,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=library.sha256)],
        licenses=[LicenseFactory().make_from_string(library.license)],
    )
