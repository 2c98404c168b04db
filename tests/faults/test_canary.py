"""A key's value appears nowhere but in the store: no log, error, repr, audit object or body."""

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.audit.records import Context
from daena_kms.engine.clock import RunClock
from daena_kms.engine.journal import Journal
from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_time
from daena_kms.stores.base import Staged
from daena_kms.stores.rotation import rotate

from infra.local.azure.documents import AzureError, error_answer
from infra.local.faults import How, only
from infra.local.gcp.crc32c import crc32c
from infra.local.gcp.state import DISABLED, Version
from infra.local.http_server import Request as Asked
from tests.faults.azure_answers import answering
from tests.faults.leaks import (
    KEY,
    NEW,
    Recorder,
    canary,
    check_errors,
    forms,
    leaked,
    live,
    texts_of,
)
from tests.worlds.aws import AwsWorld
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.gcp import GcpWorld
from tests.worlds.kinds import CLOUDS, InCloud
from tests.worlds.local import LocalWorld

#: The logs of the SDKs that hold whole messages at DEBUG, by their beginning.
PAYLOADS = {
    "aws": "botocore",
    "azure": "azure.core.pipeline.policies._universal",
    "gcp": "google.cloud.secretmanager_v1.services.secret_manager_service.transports.grpc",
}


@pytest.fixture
def wire() -> bool:
    """What handles a connection may log or quote a value as well."""
    return True


def _whole_messages(world: InCloud, logs: Recorder) -> bool:
    return any(name.startswith(PAYLOADS[world.provider]) for name in logs.names)


def _own_clients(
    world: InCloud, monkeypatch: pytest.MonkeyPatch, logs: Recorder, whose: str
) -> None:
    """Let the world's adapter make its clients by itself, from the environment, if asked to."""
    if whose == "own clients":
        world.enter(monkeypatch)
    logs.texts.clear()


whose = pytest.mark.parametrize("whose", ["given clients", "own clients"])


@whose
def test_no_log_holds_a_value(
    loud: InCloud, logs: Recorder, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """With every logger at DEBUG nothing of a value is logged, whoever made the clients."""
    _own_clients(loud, monkeypatch, logs, whose)
    values = live(loud)
    assert leaked(values, logs.texts) == []
    assert "daena_kms" in logs.names
    if isinstance(loud, AzureWorld):
        # At INFO the SDK says each call's address and headers: that is dropped as well.
        assert not any(name.startswith("azure.core") for name in logs.names)


@pytest.mark.parametrize(
    ("loud", "whose"),
    [
        *((kind, "given clients") for kind in CLOUDS),
        *((kind, "own clients") for kind in ("aws", "gcp")),  # Azure's logs bodies if told to
    ],
    indirect=["loud"],
)
def test_the_search_would_find_it(
    loud: InCloud, logs: Recorder, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Without the filter on the SDK's loggers values are there, sent and received."""
    _own_clients(loud, monkeypatch, logs, whose)
    monkeypatch.setattr("daena_kms.sdk.quiet._Silence.filter", lambda *_: True)
    given = canary()
    loud.adapter.create_key(NEW, given)
    assert leaked([given], logs.texts)
    logs.texts.clear()
    loud.adapter.get_key(NEW)
    assert leaked([given], logs.texts)
    logs.texts.clear()
    # On AWS also what KMS sent and the key was made of.
    made = loud.adapter.create_key(KEY)
    assert leaked([made], logs.texts)
    assert _whole_messages(loud, logs)


def _read_by_an_application(world: InCloud) -> str:
    match world:
        case AwsWorld():
            return world.clients.secrets.get_secret_value(SecretId=KEY)["SecretString"]
        case AzureWorld():
            return str(world.sim.secrets_client(logging_enable=True).get_secret(KEY).value)
        case GcpWorld():
            name = f"{world.name(KEY)}/versions/1"
            return world.client.access_secret_version(name=name).payload.data.decode()


def test_an_application_s_own_logs_stay(loud: InCloud, logs: Recorder) -> None:
    """What the application does with its client at DEBUG is logged as ever."""
    value = loud.adapter.create_key(KEY)
    assert leaked([value], logs.texts) == []
    assert not isinstance(loud, AzureWorld) or not _whole_messages(loud, logs)
    logs.texts.clear()
    assert _read_by_an_application(loud) == value
    assert leaked([value], logs.texts)
    assert _whole_messages(loud, logs)


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("number", range(9))
def test_every_form_is_found(number: int, shift: int) -> None:
    """Each form of a value is found in the middle of other text, at every alignment."""
    value = canary()
    every = sorted(forms(value))
    form = every[number % len(every)]
    assert leaked([value], ["x" * shift + form + "y" * shift])
    assert leaked([value], [canary()]) == []


def _version(world: GcpWorld) -> Version:
    """Return the current version, to be changed behind everybody's back."""
    return world.sim.secrets[KEY].versions[2]


def _annotate(world: GcpWorld, name: str, text: str) -> None:
    secret = world.sim.secrets[KEY]
    secret.annotations[name] = text
    secret.touch()


def _claimed(world: GcpWorld) -> None:
    times = [format_time(world.began + minutes * timedelta(minutes=1)) for minutes in (0, 15)]
    claim = {"id": "theirs", "highest": 2, "at": times[0], "until": times[1]}
    _annotate(world, "daena-claim", json.dumps(claim))


def _binary(world: GcpWorld) -> None:
    version = _version(world)
    version.data = b"\xff" + world.sim.secrets[KEY].versions[1].data
    version.crc32c = crc32c(version.data)


def _damaged(world: GcpWorld) -> None:
    _version(world).data = world.sim.secrets[KEY].versions[1].data + b"x"


_MANAGER, _VAULT = only("secretsmanager", None), only("keyvault", None)
_SECRETS = only("secretmanager", None)
_ADDING = only("secretmanager", "AddSecretVersion")
_ANYWHERE: dict[str, Callable[[Any], object]] = {
    "exists": lambda w: w.adapter.create_key(NEW),
    "held": lambda w: w.retag(KEY, {"daena.hold": "true"}),
}
FAULTS: dict[str, dict[str, Callable[[Any], object]]] = {
    "aws": _ANYWHERE
    | {
        "dropped": lambda w: w.sim.faults.fail_before(1, when=_MANAGER, times=99),
        "lost": lambda w: w.sim.faults.fail_after(1, when=_MANAGER, times=99),
        "error": lambda w: w.sim.faults.fail_before(1, how="error", times=99),
        "throttled": lambda w: w.sim.faults.throttle(99),
        "create denied": lambda w: w.sim.faults.deny("CreateSecret"),
        "put denied": lambda w: w.sim.faults.deny("PutSecretValue"),
        "move denied": lambda w: w.sim.faults.deny("UpdateSecretVersionStage"),
        "read denied": lambda w: w.sim.faults.deny("GetSecretValue"),
        "key disabled": lambda w: w.kms.disable_key(KeyId=w.kms_key),
        "deleted": lambda w: w.secrets.delete_secret(SecretId=KEY),
    },
    "azure": _ANYWHERE
    | {
        "dropped": lambda w: w.sim.faults.fail_before(1, when=_VAULT, times=99),
        "lost": lambda w: w.sim.faults.fail_after(1, when=_VAULT, times=99),
        "error": lambda w: w.sim.faults.fail_before(1, when=_VAULT, how=How.ERROR, times=99),
        "error after": lambda w: w.sim.faults.fail_after(
            1, when=only("keyvault", "SetSecret"), how=How.ERROR, times=99
        ),
        "throttled": lambda w: w.sim.faults.throttle(99, when=_VAULT, retry_after=120),
        "set denied": lambda w: w.sim.faults.deny("SetSecret"),
        "read denied": lambda w: w.sim.faults.deny("GetSecret"),
        "claims denied": lambda w: w.sim.faults.deny("PutBlob"),
        "claims lost": lambda w: w.sim.faults.fail_before(1, when=only("blob", None), times=99),
        "conflict": answering(
            "SetSecret",
            lambda body: error_answer(Asked("", "", {}, {}, body), AzureError(409, "Conflict", "")),
        ),
        "disabled": lambda w: w.operate(KEY, enabled=False),
        "deleted": lambda w: w.sim.secrets.delete(w.sim.secrets.secret(KEY)),
    },
    "gcp": _ANYWHERE
    | {
        "dropped": lambda w: w.sim.faults.fail_before(1, when=_SECRETS, times=99),
        "lost": lambda w: w.sim.faults.fail_after(1, when=_SECRETS, times=99),
        "error": lambda w: w.sim.faults.fail_before(1, when=_SECRETS, how=How.ERROR, times=99),
        "error after": lambda w: w.sim.faults.fail_after(1, when=_ADDING, how=How.ERROR, times=99),
        "throttled": lambda w: w.sim.faults.throttle(99, when=_SECRETS),
        "create denied": lambda w: w.sim.faults.deny("CreateSecret"),
        "add denied": lambda w: w.sim.faults.deny("AddSecretVersion"),
        "update denied": lambda w: w.sim.faults.deny("UpdateSecret"),
        "read denied": lambda w: w.sim.faults.deny("AccessSecretVersion"),
        "claimed": _claimed,
        "binary": _binary,
        "damaged": _damaged,
        "disabled": lambda w: _version(w).become(DISABLED, w.began),
        "deleted": lambda w: w.sim.secrets.by_name.clear(),
    },
}
#: What is found out, or mends itself: then only what no store takes is an error.
FOUND_OUT = {("azure", "error after"), ("gcp", "error after"), ("gcp", "disabled")}


@pytest.mark.parametrize(
    ("loud", "fault"),
    [(kind, fault) for kind, faults in FAULTS.items() for fault in faults],
    indirect=["loud"],
)
def test_no_error_holds_a_value(loud: InCloud, logs: Recorder, fault: str) -> None:
    """Whatever goes wrong while a value is written or read, no error, cause or log shows it."""
    value = secrets.token_urlsafe(40)
    loud.adapter.create_key(KEY, value)
    loud.adapter.rotate_key(KEY)
    FAULTS[loud.provider][fault](loud)
    check_errors(loud, logs, value, least=3 if (loud.provider, fault) in FOUND_OUT else 4)


def test_what_the_sdk_refuses_shows_no_value(aws: AwsWorld) -> None:
    """An argument that the SDK itself refuses, and quotes, is not quoted by us."""
    value = secrets.token_urlsafe(40)
    with pytest.raises(ConfigError) as caught:
        aws.adapter.store.create(KEY, [value], {}, aws.began)  # type: ignore[arg-type] # the point
    assert leaked([value], texts_of(caught.value)) == []


def test_nothing_that_is_written_or_shown_holds_a_value(world: FaultWorld) -> None:
    """Audit objects, plans, tags, labels, reprs and HTTP bodies hold no value."""
    values = live(world)
    store, log, adapter = world.adapter.store, world.log, world.adapter
    plan = world.run(500 * DAY, dry_run=True)
    summary = world.run(91 * DAY, keys=[KEY, "pass-key"])
    key = store.describe(KEY)
    material = adapter.new_material(KEY, key.tags)
    staged = Staged("id", "base", world.began, material)
    values.append(material)
    values.append(world.readable(KEY)[world.current(KEY)])
    objects = [log.get(entry.name) or b"" for entry in log.entries("log/")]
    assert len(objects) > 10
    journal = Journal.begin(log, Context("local", "t", "p", None), RunClock(None))
    texts = [data.decode() for data in objects]
    texts += [repr(x) for x in (adapter, store, log, staged, plan, summary, journal)]
    texts += [repr(x) for x in (world.operations(), *store.scan(), *summary.actions)]
    texts += [repr(plan.to_dict()), repr(summary.to_dict()), format_time(world.began)]
    for method, path in (
        ("GET", "/v1/plan"),
        ("GET", "/v1/health"),
        ("POST", f"/v1/keys/{KEY}/rotate"),
        ("POST", "/v1/keys/no-key/rotate"),
    ):
        answer = respond(Request(method, path, None, "tester"), lambda: (adapter, log))
        texts += [answer.body, repr(answer)]
    values.append(world.readable(KEY)[world.current(KEY)])
    texts += world.shown()
    assert leaked(values, texts) == []


def test_the_local_store_s_files_hold_no_value(tmp_path: Path, logs: Recorder) -> None:
    """Neither the database, its journal, the log nor any other file holds a value or its forms."""
    world = LocalWorld(tmp_path)
    values = live(world)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert leaked(values, [data.decode("latin-1") for data in files]) == []
    assert leaked(values, [data.decode(errors="ignore") for data in files]) == []
    assert leaked(values, logs.texts) == []


def test_a_foreign_error_in_a_store_is_not_quoted(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error from below, whatever it quotes, is told by its type alone."""
    world.operations().create(KEY)
    seen: list[str] = []

    def explode(_key: object, material: str, _now: object) -> None:
        seen.append(material)
        raise RuntimeError(material)

    monkeypatch.setattr(world.adapter.store, "stage", explode)
    summary = world.run(91 * DAY)
    assert summary.failed == [KEY]
    assert "RuntimeError" in str(summary.errors[KEY])
    objects = [(world.log.get(e.name) or b"").decode() for e in world.log.entries("log/")]
    assert leaked(seen, [*objects, *texts_of(summary.errors[KEY]), repr(summary)]) == []
    with pytest.raises(RuntimeError):
        rotate(world.adapter.store, world.adapter.store.describe(KEY), "x" * 9, RunClock(None))
