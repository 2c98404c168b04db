"""Keys in Key Vault that are deleted, on their way, or deleted with a disabled newest version."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from daena_kms.errors import (
    AccessDenied,
    DaenaKMSError,
    KeyExists,
    KeyNotFound,
    NotManaged,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.rules.plan import Outcome
from daena_kms.sdk.azure.errors import InTransit, Throttled, Unanswered

from infra.local.azure.secrets_state import Secret
from infra.local.faults import only
from infra.local.http_server import Response
from tests.faults.azure_answers import answering
from tests.worlds.azure import AzureWorld
from tests.worlds.base import DAY, value

KEY = "app-key"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DELETE, RECOVER = only("keyvault", "DeleteSecret"), only("keyvault", "RecoverDeletedSecret")
type Move = Callable[[AzureWorld], None]


def delete(world: AzureWorld) -> None:
    """Delete the key through the log."""
    world.operations().delete(KEY)


def restore(world: AzureWorld) -> None:
    """Restore it through the log."""
    world.operations(MINUTE).restore(KEY)


def deleted(world: AzureWorld) -> bool:
    """Whether the vault has it among the deleted ones."""
    assert (KEY in world.sim.secrets.deleted) is not (KEY in world.sim.secrets.live)
    return KEY in world.sim.secrets.deleted


def results(world: AzureWorld) -> list[tuple[str, str]]:
    """Return what the log says of deletions and restorations."""
    rows = [row for row in world.held().results() if row["kind"] in {"delete", "restore"}]
    return [(row["kind"], row["result"]) for row in rows]


@pytest.fixture
def there(azure: AzureWorld) -> AzureWorld:
    """Give a key."""
    azure.operations().create(KEY, spec="token")
    return azure


def test_as_long_as_was_recorded_is_waited(there: AzureWorld) -> None:
    """Two minutes after a deletion, one after a recovery, in simulated time."""
    there.sim.configure(settle_seconds=120)
    began = there.sim.elapsed()
    delete(there)
    assert there.adapter.store.describe(KEY).deleted is not None
    assert there.sim.elapsed() - began >= 120
    there.sim.configure(settle_seconds=60)
    restore(there)
    assert there.adapter.get_key(KEY)
    assert results(there) == [("delete", Outcome.DONE), ("restore", Outcome.DONE)]
    # Looks are bounded, however long it takes.
    assert len(there.sim.calls) < 200


@pytest.mark.parametrize("move", [delete, restore])
def test_a_wait_that_runs_out_says_so(there: AzureWorld, move: Move) -> None:
    """The vault took the change, and it was not seen: the result is unknown, and neither failed."""
    if move is restore:
        delete(there)
    there.sim.configure(settle_seconds=10_000)
    with pytest.raises(
        InTransit, match=r"the vault has taken the (deletion|recovery), but"
    ) as seen:
        move(there)
    assert isinstance(seen.value, StoreUnavailable)
    assert "Look at it with show" in str(seen.value)
    assert results(there)[-1][1] == Outcome.UNKNOWN
    # Meanwhile it is neither, and the message says why that may be.
    with pytest.raises(KeyNotFound, match="deleted or restored in the last minutes"):
        there.adapter.store.describe(KEY)
    there.sim.pass_by(10_000)
    assert (there.adapter.store.describe(KEY).deleted is not None) is (move is delete)
    assert there.run(HOUR).failed == []
    # A later run writes what became of it.
    assert results(there)[-1][1] == Outcome.DONE


@pytest.mark.parametrize("how", ["drop", "error"])
@pytest.mark.parametrize("move", [delete, restore])
def test_an_answer_that_is_lost(there: AzureWorld, move: Move, how: str) -> None:
    """A look decides, also where the name is on its way: what worked is done."""
    if move is restore:
        delete(there)
    there.sim.configure(settle_seconds=60)
    there.sim.faults.fail_after(1, when=DELETE if move is delete else RECOVER, how=how)
    move(there)
    assert deleted(there) is (move is delete)
    assert results(there)[-1] == (move.__name__, Outcome.DONE)
    counts = there.sim.calls.counts()
    assert counts["DeleteSecret"] == 1
    assert counts.get("RecoverDeletedSecret", 0) == (move is restore)


@pytest.mark.parametrize("move", [delete, restore])
def test_a_call_that_got_lost(there: AzureWorld, move: Move) -> None:
    """It is where it was, but the call may arrive yet: unknown, at once, and said by its error."""
    if move is restore:
        delete(there)
    there.sim.faults.fail_before(1, when=DELETE if move is delete else RECOVER)
    began = there.sim.elapsed()
    with pytest.raises(Unanswered, match="did not answer"):
        move(there)
    assert there.sim.elapsed() - began < 70  # of which a minute is the operation's own time
    assert deleted(there) is (move is restore)
    assert results(there)[-1][1] == Outcome.UNKNOWN


def test_a_deletion_that_somebody_else_was_faster_with(there: AzureWorld) -> None:
    """Not found, and then seen among the deleted ones: it is done, and nobody says not found."""
    key = there.adapter.store.describe(KEY)
    there.client.begin_delete_secret(KEY)
    there.adapter.store.delete(key, there.at())
    assert deleted(there)


def test_a_restoration_that_somebody_else_was_faster_with(there: AzureWorld) -> None:
    """So it is on the way back."""
    delete(there)
    key = there.adapter.store.describe(KEY)
    there.client.begin_recover_deleted_secret(KEY)
    there.adapter.store.restore(key)
    assert there.adapter.get_key(KEY)


def test_a_deletion_of_what_was_purged_meanwhile(there: AzureWorld) -> None:
    """It is on neither side, for longer than a deletion takes: nobody can say what became of it."""
    key = there.adapter.store.describe(KEY)
    there.erase(KEY)
    with pytest.raises(InTransit, match=r"for 150 s does not show it as a deleted key"):
        there.adapter.store.delete(key, there.at())


def test_a_restoration_while_it_is_still_being_deleted(there: AzureWorld) -> None:
    """The vault refuses it, and says that it is busy; nothing is waited for."""
    delete(there)
    key = there.adapter.store.describe(KEY)
    there.sim.secrets.recover(there.sim.secrets.deleted[KEY])
    there.sim.secrets.settle()
    there.client.begin_delete_secret(KEY)
    there.sim.configure(settle_polls=3)
    with pytest.raises(RotationConflict, match="still changing, deleting or recovering"):
        there.adapter.store.restore(key)


def test_looks_that_fail_while_waiting(there: AzureWorld) -> None:
    """They say nothing, and the next one counts."""
    there.sim.faults.fail_before(1, when=only("keyvault", "GetDeletedSecret"), times=3)
    delete(there)
    assert results(there) == [("delete", Outcome.DONE)]


def test_looks_that_are_refused(there: AzureWorld) -> None:
    """A refusal shows nobody where the key is: unknown, and never done."""
    there.sim.faults.deny("GetDeletedSecret")
    with pytest.raises(InTransit, match="has taken the deletion"):
        delete(there)
    assert results(there) == [("delete", Outcome.UNKNOWN)]


def test_a_throttled_deletion_is_made_again(there: AzureWorld) -> None:
    """It did nothing: a look at the key, and again; after half a minute it is given up."""
    there.sim.faults.throttle(2, when=DELETE)
    delete(there)
    assert deleted(there)
    there.sim.faults.throttle(99, when=RECOVER)
    with pytest.raises(Throttled):
        restore(there)
    assert there.sim.calls.counts()["RecoverDeletedSecret"] == 5


def test_a_hold_that_is_set_while_a_deletion_is_throttled(there: AzureWorld) -> None:
    """The key that is deleted is the one that was looked at."""
    key = there.adapter.store.describe(KEY)
    there.sim.faults.throttle(1, when=DELETE)
    there.retag(KEY, {"daena.hold": "true"})
    with pytest.raises(RotationConflict, match="changed meanwhile"):
        there.adapter.store.delete(key, there.at())
    assert not deleted(there)


def test_a_secret_behind_a_certificate_is_not_deleted(there: AzureWorld) -> None:
    """It belongs to the certificate: refused before the call, and by the vault."""
    versions = there.sim.secrets.secret(KEY).versions
    key = there.adapter.store.describe(KEY)
    there.sim.secrets.put(Secret(KEY, versions, f"{there.sim.vault_url}/keys/{KEY}/{'0' * 32}"))
    with pytest.raises(NotManaged, match="certificate"):
        delete(there)
    with pytest.raises(AccessDenied, match=r"certificate of that name.*Change the certificate"):
        there.adapter.store.delete(key, there.at())


# A deleted secret whose newest version is disabled.


@pytest.fixture
def disabled(there: AzureWorld) -> AzureWorld:
    """Give a key whose old version leaked, whose newest is disabled, and which is deleted."""
    there.sim.faults.fail_before(1, when=only("keyvault", "UpdateSecret"), times=9, how="error")
    there.run(HOUR, keys=[KEY], compromised=True, reason="it leaked")
    there.mend()
    assert len(there.readable(KEY)) == 2
    there.operate(KEY, enabled=False)
    there.client.begin_delete_secret(KEY, _polling_interval=0)
    there.sim.secrets.settle()
    return there


def test_it_is_deleted_and_not_absent(disabled: AzureWorld) -> None:
    """With its tags, which only the list of deleted secrets shows."""
    key = disabled.adapter.store.describe(KEY)
    assert key.deleted is not None
    assert key.tags["daena.managed"] == "true"
    assert disabled.adapter.store.describe(KEY, exact=True) == key
    with pytest.raises(KeyNotFound, match=r"it is deleted\. Restore it first"):
        disabled.adapter.get_key(KEY)
    with pytest.raises(KeyExists, match="Restore it"):
        disabled.adapter.create_key(KEY)
    assert disabled.adapter.list_keys() == []


def test_deleting_it_again_changes_nothing(disabled: AzureWorld) -> None:
    """Deleting is idempotent."""
    disabled.operations(2 * HOUR).delete(KEY)
    assert results(disabled) == [("delete", Outcome.DONE)]
    assert deleted(disabled)


def test_its_pending_revocation_waits_for_it(disabled: AzureWorld) -> None:
    """While it is deleted nothing can be revoked; once it is back, the leaked version goes."""
    old = disabled.sim.secrets.deleted[KEY].secret.versions
    (leaked, _) = old
    for hours in (2, 30):
        assert disabled.run(hours * HOUR).revoked == []
    disabled.operations(31 * HOUR).restore(KEY)
    assert results(disabled)[-1] == ("restore", Outcome.DONE)
    summary = disabled.run(32 * HOUR)
    assert summary.revoked_versions == {KEY: [leaked]}
    assert not disabled.sim.secrets.version(KEY, leaked).enabled


def test_a_lost_deletion_of_it_is_recovered(there: AzureWorld) -> None:
    """A later run finds it deleted, and writes that the deletion was done."""
    there.operate(KEY, enabled=False)
    there.sim.faults.fail_after(1, when=DELETE)
    there.sim.faults.fail_before(1, when=only("keyvault", "GetDeletedSecret"), times=99)
    with pytest.raises(DaenaKMSError):
        delete(there)
    assert results(there) == [("delete", Outcome.UNKNOWN)]
    there.mend()
    there.run(HOUR)
    assert results(there)[-1] == ("delete", Outcome.DONE)
    assert there.verify().problems == []


def test_its_owner_can_restore_one_among_many(disabled: AzureWorld) -> None:
    """The list of deleted secrets is followed page by page."""
    for number in range(60):
        name = f"a-{number}"
        disabled.sim.secrets.add_version(name, value())
        disabled.sim.secrets.delete(disabled.sim.secrets.secret(name))
    disabled.sim.calls.clear()
    disabled.adapter.restore_key(KEY)
    assert disabled.sim.calls.counts()["GetDeletedSecrets"] == 3
    assert not deleted(disabled)


def test_one_that_the_list_does_not_show(disabled: AzureWorld) -> None:
    """It is deleted, and without its tags nobody may judge it: unknown, not absent."""
    page = b'{"value": [], "nextLink": null}'
    answering(
        "GetDeletedSecrets", lambda _: Response(200, page, {"Content-Type": "application/json"})
    )(disabled)
    with pytest.raises(InTransit, match="list of deleted secrets does not show it"):
        disabled.adapter.store.describe(KEY)


# A key that somebody else deletes while it is changed.


@pytest.mark.parametrize("settles", [0, 90])
@pytest.mark.parametrize("kind", ["hold", "policy", "retire"])
def test_a_key_that_is_deleted_right_after_it_was_changed(
    there: AzureWorld, kind: str, settles: float
) -> None:
    """The look after the change finds nothing: unknown, and later done; never failed."""
    assert there.run(keys=[KEY]).rotated == [KEY]
    there.sim.configure(settle_seconds=settles)

    def delete_it_then(_service: str, operation: str) -> bool:
        changed = there.sim.calls.counts()["UpdateSecret"]
        if changed and operation == "GetSecret" and KEY in there.sim.secrets.live:
            there.sim.secrets.delete(there.sim.secrets.secret(KEY))
        return False

    there.sim.calls.clear()
    there.sim.faults.fail_before(when=delete_it_then)
    if kind == "retire":
        assert there.run(10 * DAY).failed == [KEY]
    else:
        with pytest.raises(StoreUnavailable, match="it was changed"):
            change(there, kind)
    there.mend()
    there.sim.pass_by(100)
    there.run(10 * DAY + HOUR)
    there.operations(11 * DAY).restore(KEY)
    assert there.run(11 * DAY + HOUR).failed == []
    rows = [row["result"] for row in there.held().results() if row["kind"] == kind]
    assert rows == [Outcome.UNKNOWN, Outcome.DONE]
    assert there.verify().problems == []


def test_a_key_that_is_deleted_between_its_retirement_and_its_rotation(there: AzureWorld) -> None:
    """The version is retired; that nothing shows that any more does not make it failed."""
    assert there.run(keys=[KEY]).rotated == [KEY]
    there.sim.configure(settle_seconds=90)
    gone = there.sim.secrets

    def delete_it_then(_service: str, operation: str) -> bool:
        if operation == "SetSecret":
            gone.delete(gone.secret(KEY))
        return False

    there.sim.faults.fail_before(when=delete_it_then)
    assert there.run(91 * DAY).failed == [KEY]
    rows = {row["kind"]: row["result"] for row in there.held().results()}
    assert (rows["retire"], rows["rotate"]) == (Outcome.UNKNOWN, Outcome.FAILED)


def change(world: AzureWorld, kind: str) -> None:
    """Change the key's tags through the log."""
    if kind == "hold":
        world.operations(HOUR).hold(KEY)
    else:
        world.operations(HOUR).set_policy(KEY, {"grace": "3d"})


# Names that were used before.


def test_creating_right_after_a_purge(azure: AzureWorld) -> None:
    """The vault refuses the name for some seconds, and did nothing: the set is made again."""
    azure.foreign(KEY, value())
    azure.erase(KEY)
    azure.sim.secrets.settling[KEY].left = 3
    made = azure.adapter.create_key(KEY)
    assert azure.adapter.get_key(KEY) == made
    outcomes = [c.outcome for c in azure.sim.calls if c.operation == "SetSecret"]
    assert outcomes == [*["ObjectIsBeingDeleted"] * 3, "ok"]


def test_creating_while_it_is_being_deleted(there: AzureWorld) -> None:
    """The name is free of neither: refused, with what to do."""
    there.foreign("third-key", value())
    there.client.begin_delete_secret("third-key")
    with pytest.raises(KeyExists, match="deleted but recoverable"):
        there.adapter.create_key("third-key")


def test_rotating_right_after_a_restoration(there: AzureWorld) -> None:
    """The vault reads the key and still refuses a set; it is made again after a look."""
    delete(there)
    restore(there)
    assert there.run(HOUR, keys=[KEY]).rotated == [KEY]
    outcomes = [c.outcome for c in there.sim.calls if c.operation == "SetSecret"]
    assert outcomes == ["ok", "ObjectIsBeingRecovered", "ok"]


def test_a_key_that_stays_busy_is_not_done(there: AzureWorld) -> None:
    """After half a minute the rotation is given up: skipped, and counted as overdue."""
    delete(there)
    restore(there)
    there.sim.secrets.settling[KEY].sets = 99
    summary = there.run(91 * DAY)
    assert (summary.rotated, summary.skipped, summary.overdue) == ([], [KEY], 1)
    there.sim.secrets.settle()
    assert there.run(91 * DAY + MINUTE).rotated == [KEY]
