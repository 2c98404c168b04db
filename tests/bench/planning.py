"""Planning very many keys of which none is due: calls, and memory above an idle process."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from daena_kms.names import new_version_id
from daena_kms.stores.aws_state import CURRENT, MADE, PENDING, label

from tests.bench.figures import Figure, Must
from tests.bench.surroundings import AUDIT_URL, child, environment
from tests.stores.aws_json import Params
from tests.stores.aws_sim import AwsSimulator

_KEYS, _QUICK_KEYS, _PAGE = 10_000, 2_000, 100
_MEGABYTES = 60
#: Each key has a current and two previous versions, as a key has that lives for a while.
_VERSIONS = 3
_AGE = timedelta(days=10)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the calls and the memory of a whole run, then of a dry run, which keeps its plan."""
    count = _QUICK_KEYS if quick else _KEYS
    with AwsSimulator() as sim:
        _fill(sim, count)
        env = environment(AWS_ENDPOINT_URL=sim.url, DAENA_KMS_AUDIT_URL=AUDIT_URL)
        for mode in ("run", "dry-run"):
            sim.calls.clear()
            memory = child("planning_child", mode, env=env)
            if (memory["keys"], memory["due"]) != (count, 0):
                raise RuntimeError(memory)
            calls = Counter(call.operation for call in sim.calls if call.service != "s3")
            what = f"AWS, {count:,} keys, none due, {mode}"
            listings = calls.pop("ListSecrets")
            yield Figure(f"{what}: listings", listings, Must.BE, count // _PAGE)
            yield Figure(f"{what}: other calls", calls.total(), Must.BE, 0)
            yield Figure(
                f"{what}: memory above idle",
                memory["peak"] - memory["idle"],
                Must.BE_UNDER,
                _MEGABYTES,
                " MB",
                f"idle {memory['idle']:.0f} MB",
            )


def _fill(sim: AwsSimulator, count: int) -> None:
    """Put keys into the simulator behind its HTTP, with labels as the store writes them."""
    operations = sim.secrets.operations
    create, put = operations["CreateSecret"].run, operations["PutSecretValue"].run
    move = operations["UpdateSecretVersionStage"].run
    now = datetime.now(UTC)
    for number in range(count):
        name = f"key-{number}"
        made = now - _VERSIONS * _AGE
        version = new_version_id(None, made)
        tags = {"daena.managed": "true", "daena.spec": "aes-256", "team": "bench", "stage": "test"}
        create(
            Params(
                {
                    "Name": name,
                    "ClientRequestToken": version,
                    "SecretString": version,
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            )
        )
        stage = label(MADE, version, made)
        move(Params({"SecretId": name, "VersionStage": stage, "MoveToVersionId": version}))
        for _ in range(_VERSIONS - 1):
            base, made = version, made + _AGE
            version = new_version_id(base, made)
            put(
                Params(
                    {
                        "SecretId": name,
                        "ClientRequestToken": version,
                        "SecretString": version,
                        "VersionStages": [PENDING, label(MADE, version, made)],
                    }
                )
            )
            where = {"MoveToVersionId": version, "RemoveFromVersionId": base}
            move(Params({"SecretId": name, "VersionStage": CURRENT, **where}))
