"""What is built: for each cloud its packages, the platform they are for, and their dependencies."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = (ROOT / ".python-version").read_text(encoding="ascii").strip()
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
#: Amazon Linux 2023 has glibc 2.34, Azure's Debian 2.36, Google's Ubuntu 2.35: all take this.
_PLATFORM = "manylinux_2_28"


@dataclass(frozen=True, slots=True)
class Target:
    """One package."""

    cloud: str
    #: The file in ``dist/<cloud>/``, without its suffix.
    name: str
    architecture: str
    #: Where the functions are, and the one that leads to all that is needed.
    source: Path
    handler: str
    #: Where dependencies lie in the package; ``None`` where the cloud itself installs them.
    libraries: str | None
    #: Where the package lies when it is deployed.
    deployed: str
    further: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """What uv calls the platform."""
        return f"{ARCHITECTURES[self.architecture]}-{_PLATFORM}"

    @property
    def requirements(self) -> Path:
        """The lock file of what the functions need."""
        return ROOT / "requirements" / f"function-{self.cloud}.txt"


def targets(cloud: str, architectures: tuple[str, ...]) -> list[Target]:
    """Return a cloud's packages. Only Lambda runs on more than one architecture."""
    source = ROOT / f"functions_{cloud}"
    if cloud == "aws":
        names = [(f"daena-kms-{architecture}", architecture) for architecture in architectures]
        return [Target(cloud, n, a, source, "handler.py", ".", "/var/task") for n, a in names]
    if cloud == "azure":
        # The host looks for what remote build would have installed in that folder.
        # https://learn.microsoft.com/azure/azure-functions/python-build-options
        wanted = {"remote-build": None, "prebuilt": ".python_packages/lib/site-packages"}
        return [
            Target(
                *(cloud, f"daena-kms-{name}", "x86_64", source, "function_app.py"),
                *(libraries, "/home/site/wwwroot", ("host.json",)),
            )
            for name, libraries in wanted.items()
        ]
    if cloud == "gcp":
        return [Target(cloud, "daena-kms", "x86_64", source, "main.py", None, "/workspace")]
    raise ValueError(f"no package is known for {cloud}")
