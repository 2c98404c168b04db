"""What goes into a function's package and how it is written, for the demo and for a deployment.

A package holds the handler at its root, those of our modules that the handler can reach, and the
files of other distributions, except those that no function imports. Every module is compiled. The
same files make the same bytes, whenever and wherever they are packed.
"""

import ast
import fnmatch
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from daena_kms.errors import ConfigError
from daena_kms.settings import PROVIDERS

#: The module for the object store of a cloud, which is in no folder of its own.
_OBJECTS: Mapping[str, tuple[str, ...]] = {
    "aws": ("objects.s3",),
    "azure": ("objects.azure",),
    "gcp": ("objects.gcs",),
}
#: Our modules that belong to one cloud only, by the beginning of their names.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    cloud: (
        *(f"{part}.{cloud}" for part in ("stores", "sdk", "platforms")),
        *_OBJECTS.get(cloud, ()),
    )
    for cloud in PROVIDERS
}
#: Files of any distribution that no function imports: for people, compilers and type checkers.
NOWHERE = (
    *("bin/*", "*/tests/*", "*/test/*", "*/testing/*", "*/__pycache__/*"),
    *("*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "*.typed", "*.pth"),
    # The name, version, entry points and licence in a distribution's metadata stay.
    *("*.dist-info/RECORD", "*.dist-info/WHEEL", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    *("*.dist-info/top_level.txt", "*.dist-info/direct_url.json", "*.dist-info/sboms/*"),
)
_INSTRUMENTED = (
    *("_labeler", "asgi", "auto_instrumentation", "dbapi", "django", "fastapi", "flask", "httpx"),
    *("psycopg2", "wsgi"),
)
#: The same for one cloud. tests/infra/test_imports.py runs the functions to check it.
NOT_THERE: Mapping[str, tuple[str, ...]] = {
    "aws": (
        "aws_lambda_powertools/event_handler/*",
        "aws_lambda_powertools/logging/formatters/*",
        "aws_lambda_powertools/metrics/provider/datadog/*",
        "aws_lambda_powertools/middleware_factory/*",
        "aws_lambda_powertools/utilities/[!_j]*",
        # cryptography needs only the compiled half of cffi.
        *("cffi/*", "pycparser/*"),
        *("dateutil/zoneinfo/*", "obstore/auth/*", "urllib3/contrib/emscripten/*"),
        *("botocore/data/*/*", "cryptography/x509/*"),
    ),
    "azure": (
        *("*/aio/*", "asgiref/*", "cffi/*", "pycparser/*", "obstore/auth/*", "jwt/*"),
        *("charset_normalizer/cli/*", "packaging/licenses/*", "urllib3/contrib/emscripten/*"),
        # Signing in by a browser, by a certificate, with a cache on disk; other web frameworks.
        *("msal_extensions/*", "msrest/*", "oauthlib/*", "requests_oauthlib/*"),
        *("werkzeug/debug/*", "werkzeug/middleware/*", "werkzeug/routing/*"),
        # Telemetry for libraries that are not in the package.
        "azure/monitor/opentelemetry/_autoinstrumentation/*",
        *(f"opentelemetry/instrumentation/{name}/*" for name in _INSTRUMENTED),
        *("opentelemetry/sdk/_configuration/*", "opentelemetry/sdk/error_handler/*"),
        "opentelemetry/sdk/trace/_sampling_experimental/*",
        *("opentelemetry/semconv/version/*", "opentelemetry/version/*"),
    ),
    # Google's buildpack installs what the functions need.
    "gcp": (),
}
#: Exceptions from it. botocore describes each service in a folder; two are called.
THERE: Mapping[str, tuple[str, ...]] = {
    "aws": (
        *(
            f"botocore/data/{service}/*/{kind}*"
            for service in ("kms", "secretsmanager")
            for kind in ("endpoint-rule-set", "service-2")
        ),
        # Where the log's bucket is reached; the calls themselves are another library's.
        "botocore/data/s3/*/endpoint-rule-set*",
    ),
}

_METADATA = re.compile(r".*\.dist-info").fullmatch
_NAME = "daena_kms"
_PACKAGE = Path(__file__).parents[2] / "core" / _NAME
_COMPILE = """
import compileall, py_compile, sys
folder, deployed = sys.argv[1:]
done = compileall.compile_dir(folder, quiet=2, force=True, stripdir=folder, prependdir=deployed,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
sys.exit(0 if done else 1)
"""


def reached(handler: Path, cloud: str) -> list[Path]:
    """Return our modules that a handler imports, at once or on first use, in order.

    Modules of another cloud are left out: they are imported only where that cloud is used.
    """
    found: dict[str, Path] = {}
    waiting = list(_imported(handler))
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or path is None or _of_another(name, cloud):
            continue
        found[name] = path
        waiting += [*_imported(path), name.rpartition(".")[0]]
    return [found[name] for name in sorted(found)]


def copy_own(target: Path, handler: Path, cloud: str) -> None:
    """Copy the handler, and those of our modules that it can reach."""
    target.mkdir(parents=True, exist_ok=True)
    (target / handler.name).write_bytes(handler.read_bytes())
    for path in reached(handler, cloud):
        copy = target / _NAME / path.relative_to(_PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def belongs(file: PurePosixPath, cloud: str) -> bool:
    """Whether a file of an installed distribution goes into a cloud's package."""
    name = file.as_posix()
    if file.is_absolute() or ".." in file.parts:
        return False
    if any(fnmatch.fnmatchcase(name, kept) for kept in THERE.get(cloud, ())):
        return True
    return not any(fnmatch.fnmatchcase(name, out) for out in (*NOWHERE, *NOT_THERE[cloud]))


def kept(files: Iterable[PurePosixPath], cloud: str) -> list[PurePosixPath]:
    """Return a distribution's files for a cloud's package: none if only metadata would be left."""
    found = [file for file in files if belongs(file, cloud)]
    return found if any(not _METADATA(file.parts[0]) for file in found) else []


def compile_all(folder: Path, deployed: str) -> None:
    """Compile every module for the folder it is deployed to; loading it does not check its source.

    Deployed files have no times worth comparing, and a function may not write its own bytecode.

    Raises:
        ConfigError: a module can't be compiled.
    """
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-P", "-c", _COMPILE, str(folder), deployed],
        # A fresh process, always the same: strings interned earlier would change the bytes.
        env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", os.defpath)},
        check=False,
    )
    if done.returncode:
        raise ConfigError(f"a module in {folder} can't be compiled", todo="Look at it with Python")


def pack(folder: Path, *, level: int = 1) -> bytes:
    """Return the folder as a zip: the same bytes for the same files.

    The level is zlib's; the fastest is for a package that is unpacked again a moment later.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.create_system = 3  # the mode below is Unix's
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, level)
    return packed.getvalue()


def _of_another(name: str, cloud: str) -> bool:
    return any(
        name.removeprefix(f"{_NAME}.").startswith(family)
        for other, families in FAMILIES.items()
        if other != cloud
        for family in families
    )


def _file(name: str) -> Path | None:
    """Return the file of one of our modules, or ``None`` for another module."""
    first, *rest = name.split(".")
    if first != _NAME:
        return None
    base = _PACKAGE.joinpath(*rest)
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in files if path.is_file()), None)


def _imported(path: Path) -> Iterator[str]:
    """Yield what a module imports, also inside functions, but not only for type checkers."""
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
