"""A cold start of each cloud's functions beside that of its SDK alone, process by process."""

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
from tests.bench.surroundings import child, environment

_RATIO = 1.15
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
        # Both sides compiled, as a deployed bundle is, whatever this environment writes or keeps.
        env = environment(**start.settings, PYTHONPYCACHEPREFIX=folder)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        yield _compare(cloud, start, env, _QUICK_ROUNDS if quick else _ROUNDS)


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


def _compare(cloud: str, start: _Start, env: Mapping[str, str], rounds: int) -> Figure:
    commands = (("cold_function", cloud, start.module), (f"cold_{cloud}_sdk",))
    taken: dict[tuple[str, ...], list[dict[str, float]]] = {command: [] for command in commands}
    for command in taken:  # once for the disk's cache and the compiled modules
        child(*command, env=env)
    for _ in range(rounds):
        for command, results in taken.items():
            results.append(child(*command, env=env))
    ours, theirs = (median(result["wall"] for result in results) for results in taken.values())
    cpu = [median(result["cpu"] for result in results) for results in taken.values()]
    context = (
        f"{1000 * ours:.0f} ms over {1000 * theirs:.0f} ms; processor time {cpu[0] / cpu[1]:.2f}x"
    )
    return Figure(start.name, ours / theirs, Must.BE_AT_MOST, _RATIO, "x", context)
