"""What those who act do, each with its own permissions, over any store."""

import pytest
from daena_kms.api.messages import Request
from daena_kms.api.router import respond
from daena_kms.audit.verify import verify
from daena_kms.errors import DaenaKMSError

from tests.worlds.base import CLAIMED, DAY, FaultWorld

KEY, TOKEN, THEIRS = "app-key", "api-token", "old-key"
#: What enrols a secret of somebody's.
BY_TAG = {"daena.managed": "true", "daena.spec": "token"}


def prepare(world: FaultWorld) -> None:
    """Make keys as an operator does: one to keep for ever, one to retire, one of somebody's."""
    destroys = world.adapter.store.can.destroy_means is not None
    tags = {"daena.grace": "1d"} | ({"daena.destroy-after": "30d"} if destroys else {})
    world.operations().create(KEY)
    world.operations().create(TOKEN, spec="token", tags=tags)
    world.foreign(THEIRS, "x" * 43, BY_TAG)


def ask(world: FaultWorld, method: str, path: str, body: str | None = None) -> None:
    """Ask the HTTP API, and expect that it does it."""
    answer = respond(Request(method, path, body, "tester"), lambda: (world.adapter, world.log))
    assert answer.status == 200, answer.body


def functions_run(world: FaultWorld) -> None:
    """Do what the scheduled function and the HTTP API do where they change nothing by hand."""
    for path in ("health", "plan", "keys", f"keys/{KEY}", "audit", "audit/verify"):
        ask(world, "GET", f"/v1/{path}")
    for path in (f"keys/{KEY}/rotate", "runs"):
        ask(world, "POST", f"/v1/{path}")
    for days in (92, 100, 140, 190, 240):
        _clean(world.run(days * DAY).errors)
    world.run(240 * DAY, dry_run=True)
    key = world.adapter.store.describe(KEY)
    world.adapter.store.stage(key, "never promoted", world.at(241 * DAY))
    _clean(world.run(241 * DAY + CLAIMED, keys=[KEY]).errors)


def changes(world: FaultWorld) -> None:
    """Do what the HTTP API may be allowed beside: hold, release, roll back."""
    for path in ("rotate", "hold", "release", "rollback"):
        ask(world, "POST", f"/v1/keys/{KEY}/{path}")


def change_policy(world: FaultWorld) -> None:
    """Do what the HTTP API may be allowed beside: set and remove the tags of a policy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAENA_KMS_HTTP_POLICY", "true")
        ask(world, "PATCH", f"/v1/keys/{TOKEN}/policy", '{"rotate_after": "30d", "keep": 3}')
        ask(world, "PATCH", f"/v1/keys/{TOKEN}/policy", '{"keep": null}')


def operate(world: FaultWorld) -> None:
    """Do what people do with the command line beside: make, adopt, delete, restore."""
    world.operations(260 * DAY).create("new-key")
    world.foreign("found-key", "x" * 43)
    world.operations(260 * DAY).adopt("found-key", spec="token")
    world.operations(260 * DAY).delete("new-key")
    world.operations(260 * DAY).restore("new-key")


def audit(world: FaultWorld) -> None:
    """Verify the log against the store, as an auditor does."""
    assert verify(world.log, list(world.adapter.store.inventory())).runs > 0


def audit_log_only(world: FaultWorld) -> None:
    """Verify the log by itself."""
    assert verify(world.log).runs > 0


def _clean(errors: dict[str, DaenaKMSError]) -> None:
    for error in errors.values():
        raise error
