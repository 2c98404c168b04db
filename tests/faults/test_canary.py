"""A key's value appears nowhere but in the store: no log, error, repr, audit object or body."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.audit import open_log
from daena_kms.audit.records import Context
from daena_kms.cloud_kms import AWSKMSAdapter
from daena_kms.engine.clock import RunClock
from daena_kms.engine.journal import Journal
from daena_kms.errors import ConfigError
from daena_kms.rules.durations import format_time
from daena_kms.stores.base import Staged
from daena_kms.stores.rotation import rotate

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION
from infra.local.faults import only
from tests.faults.leaks import (
    KEY,
    NEW,
    Recorder,
    canary,
    check_errors,
    forms,
    leaked,
    live,
    recorded,
    shown_by,
    texts_of,
)
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY, FaultWorld
from tests.worlds.local import LocalWorld


@pytest.fixture
def logs() -> Iterator[Recorder]:
    """Record everything that is logged anywhere, at DEBUG."""
    with recorded() as recorder:
        yield recorder


def own_clients(aws: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the world's adapter make its clients by itself, from the environment."""
    for name, value in (
        ("AWS_ENDPOINT_URL", aws.sim.url),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
    ):
        monkeypatch.setenv(name, value)
    aws.adapter = AWSKMSAdapter(REGION, aws.kms_key)
    aws.log = open_log(f"s3://{BUCKET}/own", region=REGION, session=aws.adapter.aws.session())


@pytest.mark.parametrize("whose", ["given clients", "own clients"])
def test_no_log_holds_a_value(
    aws: AwsWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """With every logger at DEBUG nothing of a value is logged, whoever made the clients."""
    if whose == "own clients":
        own_clients(aws, monkeypatch)
    logs.texts.clear()
    values = live(aws)
    assert leaked(values, logs.texts) == []
    assert "daena_kms" in logs.names


@pytest.mark.parametrize("whose", ["given clients", "own clients"])
def test_the_search_would_find_it(
    aws: AwsWorld, logs: Recorder, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Without the filter on the SDK's loggers the values are there, and the search finds them."""
    if whose == "own clients":
        own_clients(aws, monkeypatch)
    monkeypatch.setattr("daena_kms.sdk.quiet._Silence.filter", lambda *_: True)
    given = canary()
    aws.adapter.create_key(NEW, given)
    made = aws.adapter.create_key(KEY)
    assert leaked([given], logs.texts)
    # Also what KMS sent and the key was made of.
    assert leaked([made], logs.texts)
    assert any(name.startswith("botocore") for name in logs.names)


def test_an_application_s_own_logs_stay(aws: AwsWorld, logs: Recorder) -> None:
    """What the application does with its client at DEBUG is logged as ever."""
    aws.adapter.create_key(KEY)
    before = len(logs.texts)
    aws.secrets.list_secrets()
    assert len(logs.texts) > before


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("number", range(9))
def test_every_form_is_found(number: int, shift: int) -> None:
    """Each form of a value is found in the middle of other text, at every alignment."""
    value = canary()
    every = sorted(forms(value))
    form = every[number % len(every)]
    assert leaked([value], ["x" * shift + form + "y" * shift])
    assert leaked([value], [canary()]) == []


FAULTS: dict[str, Callable[[AwsWorld], object]] = {
    "dropped": lambda w: w.sim.faults.fail_before(1, when=only("secretsmanager", None), times=99),
    "lost": lambda w: w.sim.faults.fail_after(1, when=only("secretsmanager", None), times=99),
    "error": lambda w: w.sim.faults.fail_before(1, how="error", times=99),
    "throttled": lambda w: w.sim.faults.throttle(99),
    "create denied": lambda w: w.sim.faults.deny("CreateSecret"),
    "put denied": lambda w: w.sim.faults.deny("PutSecretValue"),
    "move denied": lambda w: w.sim.faults.deny("UpdateSecretVersionStage"),
    "read denied": lambda w: w.sim.faults.deny("GetSecretValue"),
    "key disabled": lambda w: w.kms.disable_key(KeyId=w.kms_key),
    "exists": lambda w: w.adapter.create_key(NEW),
    "held": lambda w: w.secrets.tag_resource(
        SecretId=KEY, Tags=[{"Key": "daena.hold", "Value": "true"}]
    ),
    "deleted": lambda w: w.secrets.delete_secret(SecretId=KEY),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_holds_a_value(aws: AwsWorld, logs: Recorder, fault: str) -> None:
    """Whatever goes wrong while a value is written, no error, its cause or its log shows it."""
    value = secrets.token_urlsafe(40)
    aws.adapter.create_key(KEY, value)
    aws.adapter.rotate_key(KEY)
    FAULTS[fault](aws)
    check_errors(aws, logs, value)


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
    texts += shown_by(world)
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
