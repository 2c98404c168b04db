"""Cold starts of the functions: from source over the SDK alone, and as built over source."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.bench import on_aws
from tests.bench.figures import Figure, Must
from tests.bench.surroundings import ROOT, child, environment

_RATIO = 1.15
_BUILT_RATIO = 1.05
#: The built packages: where their modules lie.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "aws": ("dist/aws/x86_64",),
    "azure": (
        "dist/azure/daena-kms-prebuilt",
        "dist/azure/daena-kms-prebuilt/.python_packages/lib/site-packages",
    ),
    "gcp": ("dist/gcp/daena-kms",),
}
_ROUNDS, _QUICK_ROUNDS = 11, 5
#: A port at which nobody answers: no call is made.
_NOWHERE = "http://127.0.0.1:9/"


@dataclass(frozen=True, slots=True)
class _Start:
    """What starts, beside what, and with which settings."""

    name: str
    module: str
    settings: Mapping[str, str]


def measure(cloud: str, *, quick: bool) -> Iterator[Figure]:
    """Yield the ratio of the medians; the processes alternate, and none of them makes a call."""
    with tempfile.TemporaryDirectory() as folder:
        start = _start(cloud, Path(folder))
        env = _compiled(start, folder)
        commands = (("cold_function", cloud, start.module), (f"cold_{cloud}_sdk",))
        yield _compare(start.name, _RATIO, commands, (env, env), quick=quick)


def packaged(cloud: str, *, quick: bool) -> Iterator[Figure]:
    """Yield the same for the built package over the source tree; ``make package`` builds it."""
    with tempfile.TemporaryDirectory() as folder:
        start = _start(cloud, Path(folder))
        source = _compiled(start, folder)
        # The package brings its bytecode, but for Google's, whose buildpack compiles.
        built = environment(**start.settings, PYTHONDONTWRITEBYTECODE="1")
        ours = ("cold_function", cloud, start.module)
        folders = [str(ROOT / name) for name in _PACKAGES[cloud]]
        if cloud == "gcp":
            built = source
        yield _compare(
            f"{cloud.upper()}: built package over source",
            _BUILT_RATIO,
            ((*ours, *folders), ours),
            (built, source),
            quick=quick,
        )


def _compiled(start: _Start, folder: str) -> dict[str, str]:
    """Return settings with which both sides are compiled, whatever this environment keeps."""
    env = environment(**start.settings, PYTHONPYCACHEPREFIX=folder)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def _start(cloud: str, folder: Path) -> _Start:
    if cloud == "aws":
        settings = {**on_aws.settings(), "AWS_KMS_KEY_ID": "alias/bench"}
        return _Start(
            "Lambda handler and its clients, over boto3 and one client", "handler", settings
        )
    if cloud == "azure":
        settings = {
            "AZURE_KEY_VAULT_URL": "https://bench.vault.azure.net",
            "DAENA_KMS_AUDIT_URL": "az://benchaccount/audit",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "IDENTITY_ENDPOINT": _NOWHERE,
            "IDENTITY_HEADER": "bench",
        }
        name = "Function app and its clients, over azure.functions and the SDK's clients"
        return _Start(name, "function_app", settings)
    settings = {
        "GCP_PROJECT_ID": "bench",
        "DAENA_KMS_AUDIT_URL": "gs://bench/audit",
        "GOOGLE_APPLICATION_CREDENTIALS": _service_account(folder),
    }
    name = "GCP functions and their clients, over functions_framework and the SDK's client"
    return _Start(name, "main", settings)


def _service_account(folder: Path) -> str:
    """Return a file of credentials with a key of its own, so that nobody is asked for them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    content = {
        "type": "service_account",
        "project_id": "bench",
        "private_key": pem,
        "client_email": "bench@bench.iam.gserviceaccount.com",
        "token_uri": _NOWHERE,
    }
    path = folder / "credentials.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content), encoding="ascii")
    return str(path)


def _compare(
    name: str,
    ratio: float,
    commands: tuple[tuple[str, ...], tuple[str, ...]],
    environments: tuple[Mapping[str, str], Mapping[str, str]],
    *,
    quick: bool,
) -> Figure:
    sides: list[tuple[tuple[str, ...], Mapping[str, str], list[dict[str, float]]]] = [
        (*side, []) for side in zip(commands, environments, strict=True)
    ]
    for command, env, _ in sides:  # once for the disk's cache and the compiled modules
        child(*command, env=env)
    for _ in range(_QUICK_ROUNDS if quick else _ROUNDS):
        for command, env, results in sides:
            results.append(child(*command, env=env))
    ours, theirs = (median(r["wall"] for r in results) for *_, results in sides)
    cpu = [median(r["cpu"] for r in results) for *_, results in sides]
    context = (
        f"{1000 * ours:.0f} ms over {1000 * theirs:.0f} ms; processor time {cpu[0] / cpu[1]:.2f}x"
    )
    return Figure(name, ours / theirs, Must.BE_AT_MOST, ratio, "x", context)
