"""What a person does to one key, through the audit log: create, adopt, hold, roll back, delete, ….

Each operation writes its intent before the change and its outcome after it, like a run.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from daena_kms.audit.records import Context
from daena_kms.engine.clock import RunClock
from daena_kms.engine.journal import Journal
from daena_kms.errors import (
    DaenaKMSError,
    KeyNotFound,
    NotManaged,
    RotationConflict,
    StoreUnavailable,
)
from daena_kms.notify import notify
from daena_kms.notify.events import of_operation
from daena_kms.objects.base import Objects
from daena_kms.rules.adoption import check_adoptable, first_due, known_versions
from daena_kms.rules.durations import format_time
from daena_kms.rules.fields import tags_of
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_key_id
from daena_kms.rules.plan import Kind, Outcome
from daena_kms.rules.policy import (
    FIRST_DUE,
    HOLD,
    MANAGED,
    PREFIX,
    SPEC,
    check_hold_end,
    is_managed,
    parse_policy,
)
from daena_kms.rules.policy_change import PolicyChange, plan_change
from daena_kms.rules.specs import check_fits
from daena_kms.rules.summary import in_force
from daena_kms.settings import Settings
from daena_kms.stores.adapter import CloudKMSAdapter
from daena_kms.stores.rotation import rotate

#: Attests a value that has become current. It takes the run's id, the log's row and the value, and
#: returns further members of that row. An error from it ends the run like a crash: a later run
#: looks at the key and writes the row.
Attestation = Callable[[str, Mapping[str, Any], str], Mapping[str, Any]]


class Operations:
    """Audited operations on single keys of one store.

    Args:
        adapter: The store, and the policy of keys whose tags say nothing.
        log: What :func:`daena_kms.audit.open_log` returns.
        now: An aware datetime; by default the wall clock.
        trigger: What began the operation, for the audit log.
        reason: Why, for the audit log.
        principal: Who asked, for the audit log; by default ``DAENA_OPERATOR``.
        over: Returns whether the time for what earlier runs left is over: then no more of the log
            is read, and unresolved actions are left to the next run.

    Raises:
        AuditUnavailable: The log can't be written. Every method raises it before any change, and
            also raises what the adapter's method of the same name raises.
    """

    def __init__(
        self,
        adapter: CloudKMSAdapter,
        log: Objects,
        *,
        now: datetime | None = None,
        trigger: str = "manual",
        reason: str | None = None,
        principal: str | None = None,
        over: Callable[[], bool] = bool,
    ) -> None:
        self._adapter = adapter
        self._store = adapter.store
        self._log = log
        self._clock = RunClock(now)
        self._over = over
        self._settings = Settings.load()
        self._context = Context(
            self._store.provider, trigger, principal or self._settings.operator, reason
        )

    def create(
        self,
        key_id: str,
        key_material: str | None = None,
        *,
        spec: str | None = None,
        tags: Mapping[str, str] | None = None,
        attestation: Attestation | None = None,
    ) -> str:
        """Create a managed key and return the id of its first version, not its value."""
        given = self._adapter.new_tags(key_id, spec, tags)
        material = self._adapter.new_material(key_id, given, key_material, check=spec is not None)

        def change() -> dict[str, Any]:
            version = self._store.create(key_id, material, given, self._clock())
            return {"new_version": version}

        attested = (material, attestation)
        made = self._in_force(given)
        done = self._audited("create", key_id, None, change, attested, made=made)
        return str(done["new_version"])

    def adopt(self, key_id: str, *, spec: str, tags: Mapping[str, str] | None = None) -> datetime:
        """Enrol a key that is already in the store, and return when it is first due.

        Nothing is rotated. The value is read and checked: a value that a new version would break
        is refused.

        Args:
            key_id: The key.
            spec: What kind of value it is.
            tags: Further ``daena.*`` tags. Without ``daena.first-due``, a hash of the key id
                spreads the first rotation over the interval.

        Raises:
            NotManaged: It is deleted, has no current version, is already managed (by more than
                a tag), or another rotation owns it.
            ConfigError: The value is JSON, binary, issued by a third party or not of ``spec``.
        """
        check_key_id(key_id)
        given = {**(tags or {}), MANAGED: "true", SPEC: spec}
        parse_policy(given, self._adapter.defaults, self._store.can)
        key = self._adoptable(key_id)
        if is_managed(key.tags):  # by its tags alone: they are a policy that somebody asked for
            given = {**{t: v for t, v in key.tags.items() if t.startswith(PREFIX)}, **given}
        policy = parse_policy(given, self._adapter.defaults, self._store.can)
        material = self._store.read(key_id, key.current.id if key.current is not None else None)
        check_adoptable(material, key_id)
        if policy.spec.name != "password":  # one made elsewhere seldom has exactly our length
            check_fits(policy.spec, material, key_id)
        first = policy.first_due or first_due(key_id, self._clock(), policy.rotate_after)
        given[FIRST_DUE] = format_time(first)
        base = key.current_ref

        def change() -> dict[str, Any]:
            again = self._adoptable(key_id)  # as it is now: writing the log took time
            check_same_base(again, base)
            # Tags that an earlier enrolment left must not set a policy that nobody asked for now.
            stale = {t: None for t in again.tags if t.startswith(PREFIX) and t not in given}
            self._store.adopt(again, {**stale, **given}, self._clock())
            return {}

        versions = list(known_versions(key))
        made = self._in_force(given)
        self._audited("adopt", key_id, base, change, made=made, versions=versions)
        created = key.current.created if key.current is not None else first
        return max(first, created + policy.rotate_after)

    def rollback(
        self,
        key_id: str,
        version: str = "previous",
        *,
        base: str | None = None,
        attestation: Attestation | None = None,
    ) -> str:
        """Make a new version with the value of an older one current, and return its id.

        Args:
            key_id: The key.
            version: The older version's id, or ``previous``.
            base: Roll back only if this is still the ref of the current version.
            attestation: Attests the new version.

        Raises:
            RotationConflict: Another version is current now, or the key is on hold.
        """
        check_key_id(key_id)
        key = self._changeable(key_id)
        if base is not None:
            check_same_base(key, base)
        source = self._store.find_source(key, version)
        material = self._store.read(key_id, source)
        return self._rotated("rollback", key, material, attestation, version=source)

    def _rotated(
        self, kind: str, key: Key, material: str, attestation: Attestation | None, **more: Any
    ) -> str:
        base = key.current_ref

        def change() -> dict[str, Any]:
            again = self._changeable(key.id)  # as it is now: writing the log took time
            check_same_base(again, base)
            return {"new_version": rotate(self._store, again, material, self._clock)}

        force = self._in_force(key.tags) if kind == Kind.ROTATE else {}
        attested = (material, attestation)
        done = self._audited(kind, key.id, base, change, attested, force, **more)
        return str(done["new_version"])

    def delete(self, key_id: str) -> str:
        """Delete a key, recoverably, and return for how long it can be restored, in words."""
        check_key_id(key_id)
        key = self._store.describe(key_id)
        if key.deleted is None:
            self._adapter.check_changeable(key, self._clock())
        base = key.current_ref

        def change() -> dict[str, Any]:
            self._store.delete(key, self._clock())
            return {}

        self._audited("delete", key_id, base, change)
        return self._store.can.delete_means

    def restore(self, key_id: str) -> str | None:
        """Bring a deleted key back, and return what was not brought back, in words, or ``None``."""
        check_key_id(key_id)
        key = self._store.describe(key_id)
        self._adapter.check_managed(key)

        def change() -> dict[str, Any]:
            left = self._store.restore(key)
            return {"message": left} if left else {}

        return self._audited("restore", key_id, None, change).get("message")

    def hold(self, key_id: str, until: datetime | None = None, *, base: str | None = None) -> None:
        """Put a key on hold: nothing changes it until it is released, or until a given time.

        Args:
            key_id: The key.
            until: When the hold ends; ``None``: when it is released.
            base: Set the hold only if this is still the ref of the current version.
        """
        if until is not None:
            check_hold_end(until, self._clock(), key_id)
        self._set_hold("hold", key_id, "true" if until is None else format_time(until), base)

    def release(self, key_id: str, *, base: str | None = None) -> None:
        """End a hold. This rotates nothing; the next run does what is due.

        Args:
            key_id: The key.
            base: End the hold only if this is still the ref of the current version.
        """
        self._set_hold("release", key_id, None, base)

    def _set_hold(self, kind: str, key_id: str, text: str | None, base: str | None) -> None:
        check_key_id(key_id)
        key = self._managed(key_id)

        def change() -> dict[str, Any]:
            # As it is now: writing the log took time.
            self._store.tag(self._managed(key_id, base), {HOLD: text})
            return {}

        self._audited(kind, key_id, key.current_ref, change)

    def set_policy(
        self, key_id: str, changes: Mapping[str, object], *, base: str | None = None
    ) -> PolicyChange:
        """Change a key's policy, and return the old one and the new one. A hold stays as it is.

        Args:
            key_id: The key.
            changes: By field (``spec``, ``rotate_after``, ``grace``, ``destroy_after``, ``keep``,
                ``first_due``) its new value as a tag holds it, or ``None`` to remove the tag.
            base: Change it only if this is still the ref of the current version.

        Raises:
            ConfigError: A change, or the policy that would result, is refused.
            RotationConflict: Somebody else changed the policy at the same time, or another version
                is current.
        """
        check_key_id(key_id)
        tags = tags_of(changes, self._adapter.defaults, self._store.can)
        key = self._managed(key_id, base)
        planned = plan_change(key, tags, self._adapter.defaults, self._store.can)

        def change() -> dict[str, Any]:
            # As it is now: writing the log took time.
            again = self._managed(key_id, base)
            planned.check_still(again)
            self._store.tag(again, planned.tags)
            return {}

        if planned.tags:  # otherwise the key has this policy already
            members = {**in_force(planned.new), **planned.record()}
            self._audited("policy", key_id, key.current_ref, change, **members)
        return planned

    def _in_force(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """Return the members of an intent that hold the policy in the tags of a key."""
        return in_force(parse_policy(tags, self._adapter.defaults, self._store.can))

    def _managed(self, key_id: str, base: str | None = None) -> Key:
        key = self._store.describe(key_id)
        if key.deleted is not None:
            raise KeyNotFound("it is deleted", key_id=key_id, todo="Restore it first")
        self._adapter.check_managed(key)
        if base is not None:
            check_same_base(key, base)
        return key

    def _changeable(self, key_id: str) -> Key:
        key = self._store.describe(key_id, exact=True)
        self._adapter.check_rotatable(key, self._clock())
        return key

    def _adoptable(self, key_id: str) -> Key:
        key = self._store.describe(key_id, exact=True)
        if key.deleted is not None or key.current is None:
            msg = "it is deleted" if key.deleted else key.trouble or "it has no current version"
            raise NotManaged(msg, key_id=key_id, todo="Adopt a key that has a value")
        if key.owner is not None:
            todo = "Switch that rotation off first"
            raise NotManaged(f"{key.owner} rotates it", key_id=key_id, todo=todo)
        if is_managed(key.tags) and key.enrolled:
            raise NotManaged("it is already managed", key_id=key_id, todo="Change its tags instead")
        return key

    def _audited(
        self,
        kind: str,
        key_id: str,
        base: str | None,
        change: Callable[[], dict[str, Any]],
        attested: tuple[str, Attestation | None] = ("", None),
        force: Mapping[str, Any] | None = None,
        made: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Do a change between its intent and its outcome, and return what it made.

        ``force`` stands in the intent alone (the policy in force), ``made`` in the outcome alone
        (the policy that the change made), ``more`` in both.
        """
        Settings.load().check_not_paused()
        journal = Journal.begin(self._log, self._context, self._clock, self._over)
        row = {"key": key_id, "kind": kind, "base": base, **more}
        row = {name: value for name, value in row.items() if value is not None}
        journal.recover(self._store, self._over)
        journal.intend([{**row, **(force or {}), "why": "asked for by name"}])
        row["started"] = format_time(self._clock())
        try:
            done = change()
        except DaenaKMSError as error:
            result = Outcome.UNKNOWN if isinstance(error, StoreUnavailable) else Outcome.FAILED
            failure = {"result": result, "error": error.code, "message": str(error)}
            journal.record_rows([{**row, **failure, "ended": format_time(self._clock())}])
            journal.close({"failed": 1})
            self._notify(row, journal, error=error)
            raise
        material, attestation = attested
        if attestation is not None:
            done = {**done, **attestation(journal.run_id, {**row, **done}, material)}
        outcome = {**row, **done, **(made or {}), "result": Outcome.DONE}
        journal.record_rows([{**outcome, "ended": format_time(self._clock())}])
        journal.close({kind: 1})
        self._notify(row, journal, new_version=done.get("new_version"))
        return done

    def _notify(
        self,
        row: Mapping[str, Any],
        journal: Journal,
        *,
        new_version: str | None = None,
        error: DaenaKMSError | None = None,
    ) -> None:
        """Send the endpoint, if there is one, the events of an operation."""
        events = of_operation(
            *(row["kind"], row["key"], journal.run_id, self._context, self._clock()),
            new_version=new_version,
            error=error,
            recovered=journal.recovered,
        )
        notify(events, self._settings)


def check_same_base(key: Key, base: str | None) -> None:
    """Raise :class:`RotationConflict` unless the key's current version is still ``base``."""
    if key.current_ref != base:
        msg = f"another version of it is current now: {key.current_ref}"
        raise RotationConflict(msg, key_id=key.id, todo="Look at it with show, then try again")
