"""The adapter: one portable type over every store.

An adapter's own methods change only the store. They check what the engine checks (the key is
managed, not on hold, not claimed by another rotation), but they write no audit record. So
``audit verify`` reports a version that they make as out-of-band. The command line, the functions
and :mod:`daena_kms.engine` write to the audit log.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daena_kms.errors import ConfigError, KeyNotFound, NotManaged
from daena_kms.rules.changeable import check_key
from daena_kms.rules.model import Key
from daena_kms.rules.names import check_is_text, check_key_id, check_material
from daena_kms.rules.plan import Kind, plan_key
from daena_kms.rules.policy import MANAGED, SPEC, Defaults, is_managed, parse_policy
from daena_kms.rules.specs import DEFAULT, check_fits, generate, parse_spec
from daena_kms.rules.strength import check_strength
from daena_kms.settings import Settings
from daena_kms.stores.rotation import rotate

if TYPE_CHECKING:
    from daena_kms.stores.base import Store


class CloudKMSAdapter:
    """Keys in one store: create, read, rotate, roll back, delete, list.

    Args:
        store: The driver of the store.
        defaults: The policy of keys whose tags say nothing; by default the environment's.
    """

    def __init__(self, store: "Store", defaults: Defaults | None = None) -> None:
        self.store = store
        self.defaults = Settings.load().defaults if defaults is None else defaults

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def create_key(
        self,
        key_id: str,
        key_material: str | None = None,
        *,
        spec: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a managed key and return its value.

        Args:
            key_id: The key's id.
            key_material: The value, text of 1 to 25,000 bytes; by default a fresh one of ``spec``.
            spec: What kind of value it is; by default ``aes-256``.
            tags: Further ``daena.*`` tags: the key's policy.

        Raises:
            InvalidKeyId: The id is not portable.
            ConfigError: The value, the spec or the policy is malformed.
            KeyExists: There is already a key with that id.
            AccessDenied: The store refuses the call.
            StoreUnavailable: The store did not answer.
        """
        given = self.new_tags(key_id, spec, tags)
        material = self.new_material(key_id, given, key_material, check=spec is not None)
        self.store.create(key_id, material, given, _now())
        return material

    def get_key(self, key_id: str, version: str | None = None) -> str:
        """Return a key's current value, or the value of another version.

        Args:
            key_id: The key's id.
            version: The store's version id, or ``previous``; by default the current version.

        Raises:
            InvalidKeyId: The id is not portable.
            KeyNotFound: There is no such key or version, or it can't be read.
            ConfigError: The version id does not have the form of this store's ids, or the value is
                not text that has a form in UTF-8.
            AccessDenied: The store refuses the call.
            StoreUnavailable: The store did not answer.
        """
        check_key_id(key_id)
        if version is None:
            return check_is_text(self.store.read(key_id), key_id)
        _check_text(version, key_id)
        found = (
            self.store.find_version(self._existing(key_id), version)
            if version == "previous"
            else self.store.check_version_id(version)
        )
        return check_is_text(self.store.read(key_id, found), key_id)

    def rotate_key(self, key_id: str, key_material: str | None = None) -> str:
        """Make a new value current, due or not, and return it. The old one stays readable.

        Args:
            key_id: The key's id.
            key_material: The value; by default a fresh one of the key's spec.

        Raises:
            NotManaged: The key is not managed, or another rotation owns it.
            RotationConflict: The key is on hold, or another rotation was faster.
            KeyNotFound: There is no such key, or it is deleted.
            ConfigError: The value or a tag of the key is malformed.
            AccessDenied: The store refuses the call.
            StoreUnavailable: The store did not answer.
        """
        key = self._changeable(key_id)
        material = self.new_material(key_id, key.tags, key_material)
        rotate(self.store, key, material, _now)
        return material

    def rollback_key(self, key_id: str, version: str = "previous") -> str:
        """Make a new version with the value of an older one current, and return that value.

        The version that was current becomes the previous one.

        Args:
            key_id: The key's id.
            version: The id of a version that once was current, or ``previous``.

        Raises:
            DaenaKMSError: What :meth:`rotate_key` and :meth:`get_key` raise.
        """
        key = self._changeable(key_id, exact=True)
        material = self.store.read(key_id, self.store.find_source(key, version))
        rotate(self.store, key, material, _now)
        return material

    def delete_key(self, key_id: str) -> None:
        """Delete a managed key, recoverably; :meth:`restore_key` undoes it.

        Raises:
            NotManaged: The key is not managed, or another rotation owns it.
            RotationConflict: The key is on hold.
            KeyNotFound: There is no such key.
            AccessDenied: The store refuses the call.
            StoreUnavailable: The store did not answer.
        """
        check_key_id(key_id)
        key = self.store.describe(key_id)
        if key.deleted is None:
            self.check_changeable(key, _now())
        self.store.delete(key, _now())

    def restore_key(self, key_id: str) -> str | None:
        """Bring a deleted key back, with all its versions.

        Returns:
            In words, which version was not brought back, and why; ``None``: all were.

        Raises:
            DaenaKMSError: What :meth:`delete_key` raises, except for a key on hold.
        """
        key = self.store.describe(check_key_id(key_id))
        self.check_managed(key)
        return self.store.restore(key)

    def list_keys(self) -> list[str]:
        """Return the ids of the managed keys, sorted.

        Raises:
            AccessDenied: The store refuses the call.
            StoreUnavailable: The store did not answer.
        """
        return sorted(key.id for key in self.store.scan() if key.tags.get(MANAGED) == "true")

    def new_tags(
        self, key_id: str, spec: str | None, tags: Mapping[str, str] | None
    ) -> dict[str, str]:
        """Return the tags of a key to be created, checked as a whole before any call."""
        check_key_id(key_id)
        given = {**(tags or {}), MANAGED: "true"}
        # A caller without a type checker may pass something that an SDK's error would quote.
        if not all(_is_text(part) for pair in given.items() for part in pair):
            msg = "its tags are not all printable text"
            raise ConfigError(msg, key_id=key_id, todo="Pass names and values of tags as str")
        if spec is not None or SPEC not in given:
            given[SPEC] = DEFAULT if spec is None else spec
        parse_policy(given, self.defaults, self.store.can)
        return given

    def new_material(
        self,
        key_id: str,
        tags: Mapping[str, str],
        material: str | None = None,
        *,
        check: bool = False,
    ) -> str:
        """Return the caller's value, checked, or a fresh one of the spec in ``tags``."""
        spec = parse_spec(tags.get(SPEC, DEFAULT))
        if material is None:
            check_strength(spec, self.defaults.min_bits)
            return generate(spec, self.store.randomness(spec.random_bytes))
        check_material(material, key_id)
        if check:
            check_fits(spec, material, key_id)
        return material

    def check_managed(self, key: Key) -> None:
        """Raise ``NotManaged`` for a key, deleted or not, that does not carry our tag."""
        if not is_managed(key.tags):
            msg = "it does not carry daena.managed=true"
            todo = "Restore it with the cloud's own tools" if key.deleted else "Adopt it first"
            raise NotManaged(msg, key_id=key.id, todo=todo)

    def check_changeable(self, key: Key, now: datetime) -> None:
        """Raise the error for a key that may not change: not managed, owned by others, on hold."""
        if check_key(key, self.defaults, self.store.can).held(now):
            self.check_rotatable(key, now)

    def check_rotatable(self, key: Key, now: datetime) -> None:
        """Raise the error for a key that may not be rotated, also if the store has no room.

        A key that carries only our tags is refused: it may hold what a new value would break.
        """
        for action in plan_key(key, self.defaults, self.store.can, now, named=True):
            if action.error is not None:
                raise action.error
            if action.kind is Kind.ENROL:
                msg = "it carries our tags, but daena-kms has neither created nor adopted it"
                todo = f"Run: daena-kms adopt {key.id} --spec SPEC; or let the next run enrol it"
                raise NotManaged(msg, key_id=key.id, todo=todo)

    def _changeable(self, key_id: str, *, exact: bool = False) -> Key:
        check_key_id(key_id)
        key = self.store.describe(key_id, exact=exact)
        self.check_changeable(key, _now())  # whether a hold has ended depends on the time now
        # A version dated in the future stops a run but not a person: the new one is dated no
        # earlier than that.
        newest = max((version.created for version in key.versions), default=_now())
        self.check_rotatable(key, max(newest, _now()))
        return key

    def _existing(self, key_id: str) -> Key:
        key = self.store.describe(key_id, exact=True)
        if key.deleted is not None:
            raise KeyNotFound("it is deleted", key_id=key_id, todo="Restore it first")
        return key


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _check_text(version: object, key_id: str) -> None:
    # A caller without a type checker may pass a number, as a store's console shows it.
    if not isinstance(version, str):
        msg = f"the version is {type(version).__name__}, not text"
        raise ConfigError(msg, key_id=key_id, todo="Pass a version id, or previous")


def _now() -> datetime:
    return datetime.now(UTC)
