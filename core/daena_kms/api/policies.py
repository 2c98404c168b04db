"""The handler of ``/v1/keys/{key_id}/policy``: change a key's policy through the audit log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from daena_kms.api.call import Call
from daena_kms.api.fields import changes_of
from daena_kms.api.inputs import check_match, moved
from daena_kms.api.messages import BadRequest, Response, etag
from daena_kms.errors import ConfigError, RotationConflict
from daena_kms.rules.fields import tags_of
from daena_kms.rules.model import Key
from daena_kms.rules.policy import is_managed
from daena_kms.rules.policy_change import plan_change


def change(call: Call) -> Response:
    """Change the key's policy: set fields, or remove them with null. Rotates nothing."""
    changes = changes_of(call.given)
    with _as_input(call):
        tags_of(changes, call.adapter.defaults, call.adapter.store.can)
    key = call.look()
    _check_result(call, key, changes)
    matched = check_match(call.request, key)
    try:
        done = call.operations().set_policy(
            call.key_id, changes, base=key.current_ref if matched else None
        )
    except RotationConflict:
        again = call.adapter.store.describe(call.key_id) if matched else key
        if again.current_ref != key.current_ref:
            raise moved(again) from None
        raise
    tag = {} if key.current is None else {"etag": etag(key.current.id)}
    return Response(200, done.to_dict(), tag)


def _check_result(call: Call, key: Key, changes: Mapping[str, Any]) -> None:
    """Refuse changes that make, with the tags that are there, a policy that is refused.

    Nothing is said about the tags of a key that is not ours to change.
    """
    if key.deleted is None and is_managed(key.tags):
        defaults, can = call.adapter.defaults, call.adapter.store.can
        with _as_input(call):
            plan_change(key, tags_of(changes, defaults, can), defaults, can)


@contextmanager
def _as_input(call: Call) -> Iterator[None]:
    """Answer 400 to what is refused, because it is the caller's input."""
    try:
        yield
    except ConfigError as error:
        raise BadRequest(error.what, key_id=call.key_id, todo=error.todo) from None
