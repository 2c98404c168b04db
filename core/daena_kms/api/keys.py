"""The addresses below ``/v1/keys``: read what a key is, rotate it, roll it back, hold it."""

from collections.abc import Callable, Mapping
from typing import Any

from daena_kms.api.access import Deed
from daena_kms.api.call import TRIGGER, Call
from daena_kms.api.fields import AFTER_KEY, COMPROMISED, HOLD_UNTIL, LIMIT, REASON, VERSION
from daena_kms.api.inputs import check_match, moved
from daena_kms.api.messages import BadRequest, OutOfTime, Refusal, Response, etag
from daena_kms.engine import run
from daena_kms.engine.documents import key_document, listed_key
from daena_kms.errors import ConfigError, KeyNotFound, RotationConflict
from daena_kms.rules.durations import format_time
from daena_kms.rules.model import Key
from daena_kms.rules.policy import MANAGED, is_managed
from daena_kms.rules.summary import Summary


class NothingDone(Refusal):
    """The rotation was no longer to be done when it came to it."""

    code = "rotation-conflict"
    status = 409


class NotRetired(Refusal):
    """An emergency that came as far as the new version, and no further."""

    code = "not-retired"
    status = 503


def list_keys(call: Call) -> Response:
    """Answer the managed keys that the caller may read, by id, a page at a time."""
    limit, after = call.value(LIMIT), call.value(AFTER_KEY)
    found = sorted(
        (
            key
            for key in call.adapter.store.scan()
            if key.id > after
            and key.tags.get(MANAGED) != "false"
            and call.access.allows(call.principal, Deed.READ, key.id)
        ),
        key=lambda key: key.id,
    )
    page = found[:limit]
    more = {"next": page[-1].id} if len(found) > limit else {}
    return Response(200, {"keys": [listed_key(key, call.adapter) for key in page], **more})


def show(call: Call) -> Response:
    """Answer one key's policy and versions, with its current version as the entity tag."""
    key = call.adapter.store.describe(call.key_id, exact=True)
    if not is_managed(key.tags):  # metadata of others' secrets is nobody's business
        raise KeyNotFound("there is no managed key of that name", key_id=call.key_id)
    return Response(200, key_document(key, call.adapter), _tagged(key))


def deed_of_rotation(given: Mapping[str, Any]) -> Deed:
    """Return what the access policy must allow: an emergency is a deed of its own."""
    return Deed.COMPROMISE if COMPROMISED.value(given) else Deed.ROTATE


def rotate(call: Call) -> Response:
    """Make a fresh value current, due or not; where the old one has leaked, retire that at once."""
    compromised = call.value(COMPROMISED)
    key = call.look()
    # A version may leak as soon as it is made; but only who is allowed an emergency by name is
    # believed that it did, or a stolen trigger could rotate without end.
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
        raise OutOfTime("there was no time left to begin", key_id=call.key_id, todo="Ask again")
    what = summary.notes.get(call.key_id, "nothing was to be done")
    # Where another rotation was faster, an emergency has retired the version all the same.
    _raise_if_moved(call, key, what if call.key_id in summary.revoked else None)
    raise NothingDone(what, key_id=call.key_id, todo="Look at the key again")


def _rotated(call: Call, summary: Summary, *, compromised: bool) -> Response:
    """Answer with the new version; of an emergency also with what is revoked, and reads on."""
    version = summary.new_versions[call.key_id]
    done: dict[str, Any] = {"key": call.key_id, "version": version, "run": summary.run_id}
    tag = {"etag": etag(version)}
    if not compromised:
        return Response(200, done, tag)
    # One that an earlier emergency left may be retired by now, and this one's not; or the reverse.
    unrevoked = summary.unrevoked.get(call.key_id, [])
    if unrevoked or call.key_id not in summary.revoked:
        error = summary.errors.get(call.key_id)
        why = error.what if error is not None else "it was left"
        which = ", ".join(unrevoked) or "the one before it"
        msg = f"version {version} is current, and {which} is not retired yet: {why}"
        todo = "Let a run of all keys, or of this one, go on with it: the log remembers"
        more = {"current": version}
        raise NotRetired(msg, key_id=call.key_id, todo=todo, more=more, headers=tag)
    said = summary.to_dict()
    done |= {"revoked": summary.revoked_versions[call.key_id], "revoking": said["revoking"]}
    return Response(200, done | {"note": summary.notes[call.key_id]}, tag)


def rollback(call: Call) -> Response:
    """Make a new version with an older one's value current."""
    version = call.value(VERSION)
    if version != "previous":
        _check_version(call, version)
    operations = call.operations()
    key = call.look(exact=True)
    # A rotation that broke something must be undone at once, but not again and again.
    call.check_interval(key, key.previous)
    try:
        made = operations.rollback(call.key_id, version, base=_ref(key))
    except RotationConflict:
        _raise_if_moved(call, key)
        raise
    done = {"key": call.key_id, "version": made, "value_of": version}
    return Response(200, done, {"etag": etag(made)})


def _check_version(call: Call, version: str) -> None:
    """Tell a bad version id as what it is here: the caller's input, not our configuration."""
    try:
        call.adapter.store.check_version_id(version)
    except ConfigError:
        msg = f"version is {version[:80]!r}, which is no version id of this store"
        todo = "Use previous, or an id that GET /v1/keys/{key_id} lists"
        raise BadRequest(msg, todo=todo) from None


def _is_bounded(key: Key) -> bool:
    """Whether a look did not show when the current version was made, and a closer one may."""
    return key.current is not None and key.current.created_earliest is not None


def hold(call: Call) -> Response:
    """Let no run change the key until it is released, or until a time."""
    until = call.value(HOLD_UNTIL)
    if until is not None and until <= call.clock():
        raise BadRequest("until is in the past", todo="Give a time that is to come, or none")
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
    """Raise that the key has moved on, if the caller named the version that it was to start from.

    Of many deliveries of one request, one does its work; this is the answer to the others.
    """
    if not check_match(call.request, seen):
        return
    key = call.adapter.store.describe(call.key_id)
    if key.current is not None and seen.current is not None and key.current.id != seen.current.id:
        raise moved(key, done)


__all__ = ["deed_of_rotation", "hold", "list_keys", "release", "rollback", "rotate", "show"]
