"""On AWS: a rotation whose answers are lost, and that others overtake before it can look."""

from collections.abc import Callable
from datetime import datetime

import pytest
from daena_kms.errors import AccessDenied, DaenaKMSError, RotationConflict, StoreUnavailable
from daena_kms.rules.model import VersionState
from daena_kms.rules.plan import Outcome
from daena_kms.sdk.aws.errors import AT_LIMIT, RefusedError
from daena_kms.stores.aws.store import AWSStore

from tests.worlds.aws import AwsWorld
from tests.worlds.base import value

KEY = "app-key"
LOST = StoreUnavailable("the answer was lost", key_id=KEY)
#: What the SDK's own repetition of a move that took effect is answered with.
REPEATED = RefusedError("InvalidParameterException", "update_secret_version_stage", KEY)
DENIED = AccessDenied("the permission was taken away meanwhile", key_id=KEY)


@pytest.fixture
def store(aws: AwsWorld) -> AWSStore:
    """Give a store with one key."""
    aws.operations().create(KEY)
    assert isinstance(aws.adapter.store, AWSStore)
    return aws.adapter.store


def lose(
    store: AWSStore,
    patch: pytest.MonkeyPatch,
    error: DaenaKMSError,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Let the next move of AWSCURRENT take effect, something happen, and the call fail."""
    move = store._moves.move

    def moved(key_id: str, stage: str, **where: str | None) -> None:
        move(key_id, stage, **where)
        if stage == "AWSCURRENT":
            patch.setattr(store._moves, "move", move)
            meanwhile()
            raise error

    patch.setattr(store._moves, "move", moved)


@pytest.mark.parametrize("error", [LOST, REPEATED, DENIED], ids=["lost", "repeated", "denied"])
@pytest.mark.parametrize("others", [0, 1, 2, 3])
def test_a_version_that_was_current_is_no_loser(
    aws: AwsWorld,
    store: AWSStore,
    monkeypatch: pytest.MonkeyPatch,
    error: DaenaKMSError,
    others: int,
) -> None:
    """However many rotations came after it; it is in its grace, by its label."""

    def overtake() -> None:
        for _ in range(others):
            aws.again().rotate_key(KEY)

    lose(store, monkeypatch, error, overtake)
    material = aws.adapter.rotate_key(KEY)
    found = [v for v in aws.look(KEY).versions if store.read(KEY, v.id) == material]
    state = VersionState.PREVIOUS if others else VersionState.CURRENT
    assert [v.state for v in found] == [state]
    assert store.describe(KEY).version(found[0].id) is not None, "it has lost its labels"


@pytest.mark.parametrize("error", [LOST, REPEATED, DENIED], ids=["lost", "repeated", "denied"])
def test_without_a_look_it_is_unknown(aws: AwsWorld, store: AWSStore, error: DaenaKMSError) -> None:
    """Never failed, since it did take effect; the next run writes that."""
    with pytest.MonkeyPatch.context() as patch:

        def blind(*_given: object, **_named: object) -> None:
            raise StoreUnavailable("no answer", key_id=KEY)

        lose(store, patch, error, lambda: patch.setattr(store, "describe", blind))
        assert aws.run(keys=[KEY]).failed == [KEY]
    assert results(aws) == [Outcome.UNKNOWN]
    aws.run()
    assert results(aws) == [Outcome.DONE, Outcome.UNKNOWN]
    assert aws.verify().ok


def results(aws: AwsWorld) -> list[str]:
    """Return what the log says of the rotation, in alphabetical order."""
    rows = [row for record in aws.records() for row in record.get("results", ())]
    return sorted(row["result"] for row in rows if row["kind"] == "rotate")


def test_a_version_that_was_current_is_not_abandoned(aws: AwsWorld, store: AWSStore) -> None:
    """Whoever asks for it: it is in its grace."""
    key = store.describe(KEY)
    staged = store.stage(key, value(), datetime.now(tz=aws.began.tzinfo))
    store.promote(key, staged, staged.at)
    aws.again().rotate_key(KEY)
    before = store.describe(KEY).handle
    store.abandon(key, staged)
    assert repr(store.describe(KEY).handle.stages) == repr(before.stages)  # type: ignore[attr-defined] # labels


@pytest.mark.parametrize(
    ("error", "expected"),
    [(AT_LIMIT, RotationConflict), ("the answer was lost", StoreUnavailable)],
)
def test_others_have_taken_the_last_labels(
    aws: AwsWorld,
    store: AWSStore,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    expected: type[DaenaKMSError],
) -> None:
    """That is a race, which one of them wins; no answer at all is not."""
    key, call = store.describe(KEY), store._call

    def refused(operation: str, key_id: str, **given: object) -> object:
        if operation != "put_secret_value":
            return call(operation, key_id, **given)
        secret = aws.sim.secrets.secret(KEY)
        for number in range(20 - len(secret.labels)):
            secret.labels[f"theirs-{number}"] = secret.labels["AWSCURRENT"]
        raise StoreUnavailable(error, key_id=KEY)

    monkeypatch.setattr(store, "_call", refused)
    with pytest.raises(expected):
        store.stage(key, value(), aws.began)
