"""The handlers of ``/v1/keys``: list, show, rotate, roll back, hold and release keys."""

from collections.abc import Callable, Mapping
from typing import Any

from daena_kms.api.access import Permission
from daena_kms.api.call import TRIGGER, Call
from daena_kms.api.fields import AFTER_KEY, COMPROMISED, HOLD_UNTIL, LIMIT, REASON, VERSION
from daena_kms.api.inputs import check_match, moved
from daena_kms.api.messages import BadRequest, OutOfTime, Refusal, Response, etag
from daena_kms.engine import run
from daena_kms.engine.documents import key_document, listed_key
from daena_kms.errors import ConfigError, KeyNotFound, RotationConflict
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key
from daena_kms.rules.policy import MANAGED, check_hold_end, is_managed
from daena_kms.rules.summary import Summary


class NothingDone(Refusal):
    """There was no longer anything to do when the rotation began."""

    code = "rotation-conflict"
    status = 409


class NotRetired(Refusal):
    """An emergency rotation made the new version, but did not retire the old one."""

    code = "not-retired"
    status = 503


def list_keys(call: Call) -> Response:
    """Answer one page of the managed keys that the caller may read, by id."""
    limit, after = call.value(LIMIT), call.value(AFTER_KEY)
    allowed = sorted(
        (
            key
            for key in call.adapter.store.scan()
            if key.id > after
            and key.tags.get(MANAGED) != "false"
            and call.access.allows(call.principal, Permission.READ, key.id)
        ),
        key=lambda key: key.id,
    )
    page = allowed[:limit]
    more = {"next": page[-1].id} if len(allowed) > limit else {}
    return Response(200, {"keys": [listed_key(key, call.adapter) for key in page], **more})


def show(call: Call) -> Response:
    """Answer one key and its versions. The entity tag is its current version."""
    key = call.adapter.store.describe(call.key_id, exact=True)
    if not is_managed(key.tags):  # nothing is said about other people's secrets
        raise KeyNotFound("there is no managed key of that name", key_id=call.key_id)
    return Response(200, key_document(key, call.adapter), _tagged(key))


def permission_to_rotate(given: Mapping[str, Any]) -> Permission:
    """Return the permission that a rotation needs: an emergency rotation needs its own."""
    return Permission.COMPROMISE if COMPROMISED.value(given) else Permission.ROTATE


def rotate(call: Call) -> Response:
    """Make a fresh value current, due or not. If the old one leaked, retire its version at once."""
    compromised = call.value(COMPROMISED)
    key = call.look()
    # A version may leak as soon as it is made, so an emergency need not wait for the interval. But
    # only a rule of the access policy can allow that, or a stolen trigger could rotate without end.
    if not compromised or call.access.rules is None:
        if call.settings.min_interval is not None and _is_bounded(key):
            key = call.look(exact=True)
        call.check_interval(key, key.current)
    summary = run(
        call.adapter,
        call.log,
        keys=[call.key_id],
        deadline=call.deadline,
        trigger=TRIGGER,
        reason=call.value(REASON),
        principal=call.principal,
        looks={key.id: key},
        compromised=compromised,
    )
    if call.key_id in summary.new_versions:
        return _rotated(call, summary, compromised=compromised)
    if call.key_id in summary.errors:
        raise summary.errors[call.key_id]
    if call.key_id in summary.left:
        raise OutOfTime("there was no time left to begin", key_id=call.key_id, todo="Try again")
    what = summary.notes.get(call.key_id, "there was nothing to do")
    # If another rotation was faster, an emergency has still retired the version.
    _raise_if_moved(call, key, what if call.key_id in summary.revoked else None)
    raise NothingDone(what, key_id=call.key_id, todo="GET the key to see its state")


def _rotated(call: Call, summary: Summary, *, compromised: bool) -> Response:
    """Answer the new version; after an emergency also what is revoked, and who still reads it."""
    version = summary.new_versions[call.key_id]
    done: dict[str, Any] = {"key": call.key_id, "version": version, "run": summary.run_id}
    tag = {"etag": etag(version)}
    if not compromised:
        return Response(200, done, tag)
    # A version that an earlier emergency left may be retired, and this one not, or the reverse.
    unrevoked = summary.unrevoked.get(call.key_id, [])
    if unrevoked or call.key_id not in summary.revoked:
        error = summary.errors.get(call.key_id)
        why = error.what if error is not None else "the run ended before"
        which = ", ".join(unrevoked) or "the previous one"
        msg = f"version {version} is current, and {which} is not retired yet: {why}"
        todo = "The next run retires it: POST /v1/runs, or wait for the schedule"
        more = {"current": version}
        raise NotRetired(msg, key_id=call.key_id, todo=todo, more=more, headers=tag)
    revoking = summary.to_dict()["revoking"]
    done |= {"revoked": summary.revoked_versions[call.key_id], "revoking": revoking}
    return Response(200, done | {"note": summary.notes[call.key_id]}, tag)


def rollback(call: Call) -> Response:
    """Make a new version with an older one's value current."""
    version = call.value(VERSION)
    if version != "previous":
        _check_version(call, version)
    operations = call.operations()
    key = call.look(exact=True)
    call.check_undo(key)
    try:
        new_version = operations.rollback(call.key_id, version, base=_ref(key))
    except RotationConflict:
        _raise_if_moved(call, key)
        raise
    done = {"key": call.key_id, "version": new_version, "value_of": version}
    return Response(200, done, {"etag": etag(new_version)})


def _check_version(call: Call, version: str) -> None:
    """Raise :class:`BadRequest` for a malformed version id: here it is the caller's input."""
    try:
        call.adapter.store.check_version_id(version)
    except ConfigError:
        msg = f"version is {version[:80]!r}, which is not a version id of this store"
        todo = "Use previous, or an id that GET /v1/keys/{key_id} lists"
        raise BadRequest(msg, todo=todo) from None


def _is_bounded(key: Key) -> bool:
    """Whether a closer look may show more exactly when the current version was made."""
    return key.current is not None and key.current.created_earliest is not None


def hold(call: Call) -> Response:
    """Put the key on hold: no run changes it until it is released, or until a time."""
    until = call.value(HOLD_UNTIL)
    if until is not None:
        try:
            check_hold_end(until, call.clock(), call.key_id)
        except ConfigError as error:
            raise BadRequest(error.what, key_id=error.key_id, todo=error.todo) from None
    held = "true" if until is None else format_time(until)
    return _hold(call, held, lambda base: call.operations().hold(call.key_id, until, base=base))


def release(call: Call) -> Response:
    """End a hold."""
    return _hold(call, "false", lambda base: call.operations().release(call.key_id, base=base))


def _hold(call: Call, held: str, change: Callable[[str | None], None]) -> Response:
    key = call.look()
    try:
        change(_ref(key) if "if-match" in call.request.headers else None)
    except RotationConflict:
        _raise_if_moved(call, key)
        raise
    return Response(200, {"key": call.key_id, "hold": held}, _tagged(key))


def _ref(key: Key) -> str | None:
    return None if key.current is None else key.current.ref


def _tagged(key: Key) -> dict[str, str]:
    return {} if key.current is None else {"etag": etag(key.current.id)}


def _raise_if_moved(call: Call, seen: Key, done: str | None = None) -> None:
    """Raise :class:`KeyMoved` if the caller sent ``If-Match``, and another version is current now.

    If one request is delivered many times, one delivery does the work, and this answers the others.
    """
    if not check_match(call.request, seen):
        return
    key = call.adapter.store.describe(call.key_id)
    if key.current is not None and seen.current is not None and key.current.id != seen.current.id:
        raise moved(key, done)


__all__ = ["hold", "list_keys", "permission_to_rotate", "release", "rollback", "rotate", "show"]
