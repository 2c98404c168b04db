"""The local store: keys in one folder. It is the reference implementation of the contract."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from daena_kms.errors import KeyExists, KeyNotFound, RotationConflict
from daena_kms.rules.model import Capabilities, Key, Revoking, Version, VersionState
from daena_kms.rules.names import OWN_VERSION_ID, mark, new_version_id
from daena_kms.rules.policy import MANAGED
from daena_kms.stores.base import Staged, Store
from daena_kms.stores.local.database import Database
from daena_kms.stores.local.rows import Rows

#: Stands among the tags of a key that was created without being managed, until it is adopted or
#: enrolled. No caller sees it.
_FOREIGN = "daena-foreign"
_MARK = "UPDATE versions SET compromised = ? WHERE key_id = ? AND id = ?"
#: What the column ``compromised`` holds for a version that an emergency rotation has marked.
_PENDING, _REVOKED = "pending", "revoked"


class LocalStore(Store):
    """Keys in ``keys.db`` under ``home``, each value encrypted with AES-256-GCM.

    A rotation is one transaction, so :meth:`stage` writes nothing and there is nothing to abandon.
    The store needs read and write access to the folder, and no other permission; to read, the
    right to read is enough.

    A key whose rows somebody else wrote is an error of that key alone.
    """

    provider: ClassVar[str] = "local"
    title: ClassVar[str] = "the local store"
    version_form: ClassVar[re.Pattern[str]] = OWN_VERSION_ID
    can: ClassVar[Capabilities] = Capabilities(
        retired_readable=None,
        destroys_version=True,
        destroy_means="the value is erased from the file",
        restores_key=True,
        delete_means="kept until it is restored",
        revoking=Revoking(
            means="it is marked retired in keys.db; its value stays there, encrypted",
            readable=None,
            breaks="reading it by its id, and as previous if it was the previous version",
            undo=(
                "no command does this; in Python, LocalAdapter().store.readmit(key, version) "
                "makes it a previous version again"
            ),
        ),
    )

    def __init__(self, home: Path, master_key: str | None = None) -> None:
        self._db = Database(home, master_key)

    def close(self) -> None:
        """Close the database file."""
        self._db.close()

    def generation(self) -> int:
        """Return how often the file was changed; 0 if there is none."""
        return self._db.generation()

    def proof_of(self, generation: int) -> int:
        """Return a code made with the master key and the store's id."""
        return self._db.told(generation)

    def scan(self) -> Iterator[Key]:
        """Yield the keys that carry ``daena.managed``, in the order of their ids."""
        found = [(rows, self._key(rows) if intact else None) for rows, intact in self._db.rows()]
        if found and all(key is None for _, key in found):
            raise self._db.altered(found[0][0].key_id)  # not one of them can be believed
        for rows, key in found:
            if key is None:
                trouble = self._db.altered(rows.key_id)
                why = f"{trouble.what}. {trouble.todo}"
                yield Key(str(rows.key_id), {MANAGED: "true"}, (), trouble=why)
            elif key.deleted is None and MANAGED in key.tags:
                yield key

    def describe(self, key_id: str, *, exact: bool = False) -> Key:
        """Return the key; this store always shows exact ages."""
        del exact
        key = self._load(key_id)
        if key is None:
            raise _not_found(key_id)
        return key

    def read(self, key_id: str, version: str | None = None) -> str:
        """Return a current or previous value; a retired or destroyed one can't be read."""

        def query(connection: sqlite3.Connection) -> tuple[str, object]:
            key = self._one(key_id, self._db.rows_in(connection, key_id))
            version_id = _readable(key_id, key, version)
            statement = "SELECT sealed FROM versions WHERE key_id = ? AND id = ?"
            row = connection.execute(statement, (key_id, version_id)).fetchone()
            return version_id, row[0]

        return self._db.unseal(key_id, *self._db.read(query))

    def create(self, key_id: str, material: str, tags: Mapping[str, str], now: datetime) -> str:
        """Create the key and its first version in one transaction."""
        version_id = new_version_id(None, now)
        sealed = self._db.seal(material, f"{key_id}/{version_id}")
        with self._db.changing(key_id) as connection:
            there = "SELECT deleted IS NOT NULL FROM keys WHERE id = ?"
            key = connection.execute(there, (key_id,)).fetchone()
            if key is not None:
                deleted = bool(key[0])
                msg = "it exists already" + (", deleted but recoverable" if deleted else "")
                todo = "Restore it" if deleted else "Use it, or another id"
                raise KeyExists(msg, key_id=key_id, todo=todo)
            foreign = {} if MANAGED in tags else {_FOREIGN: "true"}
            connection.execute(
                "INSERT INTO keys (id, tags, current) VALUES (?, ?, ?)",
                (key_id, json.dumps({**tags, **foreign}, sort_keys=True), version_id),
            )
            _insert(connection, key_id, version_id, mark(None), now, sealed)
        return version_id

    def stage(self, key: Key, material: str, now: datetime) -> Staged:
        """Choose the new version's id; nothing is written until the promotion."""
        base = key.current.id if key.current is not None else ""
        return Staged(new_version_id(base, now), base, now, material)

    def promote(self, key: Key, staged: Staged, now: datetime) -> str:
        """Insert the version and make it current if the base still is, in one transaction."""
        sealed = self._db.seal(staged.material, f"{key.id}/{staged.version_id}")
        with self._db.changing(key.id) as connection:
            row = connection.execute(
                "SELECT current, tags FROM keys WHERE id = ? AND deleted IS NULL", (key.id,)
            ).fetchone()
            if row is None:
                raise _not_found(key.id)
            if row[0] != staged.base or _visible(_tags(row[1])) != key.tags:
                what = "rotated it" if row[0] != staged.base else "changed its tags"
                msg = f"somebody else {what} meanwhile"
                raise RotationConflict(msg, key_id=key.id, todo="Read it again; nothing was lost")
            connection.execute(
                "UPDATE versions SET state = ?, superseded = ? WHERE key_id = ? AND id = ?",
                (VersionState.PREVIOUS, _text(now), key.id, staged.base),
            )
            _insert(connection, key.id, staged.version_id, mark(staged.base), now, sealed)
            connection.execute(
                "UPDATE keys SET current = ? WHERE id = ?", (staged.version_id, key.id)
            )
        return staged.version_id

    def abandon(self, key: Key, staged: Staged) -> None:
        """Do nothing: a rotation that lost a race has written nothing."""

    def mark_compromised(self, key: Key, version: str, now: datetime) -> Key:
        """Note it in the version's row."""
        del now
        known = key.version(version)
        if known is not None and known.to_revoke:
            return key
        with self._db.changing(key.id) as connection:
            connection.execute(_MARK, (_PENDING, key.id, version))
        marked = (
            replace(v, compromised=True, revoked=False) if v.id == version else v
            for v in key.versions
        )
        return replace(key, versions=tuple(marked))

    def retire(self, key: Key, version: str, now: datetime) -> None:
        """Mark a previous version retired; its value stays, sealed, and can't be read."""
        self._move(key.id, version, VersionState.PREVIOUS, VersionState.RETIRED, now)

    def revoke(self, key: Key, version: str, now: datetime) -> None:
        """Retire a compromised version: its row then says that it is revoked."""
        known = key.version(version)
        if known is not None and not known.to_revoke:  # the log alone said so
            key = self.mark_compromised(key, version, now)
        self.retire(key, version, now)

    def destroy(self, key: Key, version: str, now: datetime) -> None:
        """Erase the value of a retired version, from the database and from its log.

        Only then is it marked as destroyed: if another process still reads the old state, the
        version stays retired, and a later run erases it.
        """
        with self._db.changing(key.id) as connection:
            erased = connection.execute(
                "UPDATE versions SET sealed = NULL WHERE key_id = ? AND id = ? AND state = ?",
                (key.id, version, VersionState.RETIRED),
            ).rowcount
        if erased:
            self._db.forget()
            self._move(key.id, version, VersionState.RETIRED, VersionState.DESTROYED, now)

    def readmit(self, key_id: str, version: str) -> None:
        """Make a retired version a previous one again; no command does this."""
        with self._db.changing(key_id) as connection:
            connection.execute(
                "UPDATE versions SET state = ?, retired = NULL"
                " WHERE key_id = ? AND id = ? AND state = ? AND sealed IS NOT NULL",
                (VersionState.PREVIOUS, key_id, version, VersionState.RETIRED),
            )

    def unmark(self, key_id: str, version: str) -> None:
        """Remove the mark of a compromised version that is not retired yet; no command does this.

        That calls the emergency off, as far as the store knows of it.
        """
        with self._db.changing(key_id) as connection:
            connection.execute(
                "UPDATE versions SET compromised = NULL"
                " WHERE key_id = ? AND id = ? AND compromised = ?",
                (key_id, version, _PENDING),
            )

    def tag(self, key: Key, tags: Mapping[str, str | None]) -> None:
        """Set and remove tags in one transaction."""
        self._tag(key, tags)

    def adopt(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Tag a key that was created without being managed, and note that it is enrolled."""
        del now
        self._tag(key, {**tags, _FOREIGN: None})

    def enrol(self, key: Key, tags: Mapping[str, str | None], now: datetime) -> None:
        """Tag it, and note that it is enrolled, if nobody was faster."""
        del now
        self._tag(key, {**tags, _FOREIGN: None}, once=True)

    def _tag(self, key: Key, tags: Mapping[str, str | None], *, once: bool = False) -> None:
        with self._db.changing(key.id) as connection:
            row = connection.execute("SELECT tags FROM keys WHERE id = ?", (key.id,)).fetchone()
            if row is None:
                raise _not_found(key.id)
            before = _tags(row[0])
            if once and (_FOREIGN not in before or before.get(MANAGED) != "true"):
                msg = "another run has enrolled it, or its tag was removed"
                raise RotationConflict(msg, key_id=key.id, todo="Read it again; nothing was lost")
            merged = {**before, **tags}
            kept = {name: value for name, value in merged.items() if value is not None}
            connection.execute(
                "UPDATE keys SET tags = ? WHERE id = ?", (json.dumps(kept, sort_keys=True), key.id)
            )

    def delete(self, key: Key, now: datetime) -> None:
        """Mark the key deleted; all its versions are kept."""
        self._set_deleted(key.id, _text(now))

    def restore(self, key: Key) -> None:
        """Remove the mark of deletion."""
        self._set_deleted(key.id, None)

    def _set_deleted(self, key_id: str, when: str | None) -> None:
        with self._db.changing(key_id) as connection:
            connection.execute(
                "UPDATE keys SET deleted = ? WHERE id = ? AND (deleted IS NULL) = (? IS NOT NULL)",
                (when, key_id, when),
            )

    def _move(
        self, key_id: str, version: str, old: VersionState, new: VersionState, now: datetime
    ) -> None:
        with self._db.changing(key_id) as connection:
            # Whatever retires a version that is marked, it is revoked then.
            connection.execute(
                "UPDATE versions SET state = ?, retired = coalesce(retired, ?),"
                " compromised = CASE WHEN compromised IS NULL THEN NULL ELSE ? END"
                " WHERE key_id = ? AND id = ? AND state = ?",
                (new, _text(now), _REVOKED, key_id, version, old),
            )

    def _load(self, key_id: str) -> Key | None:
        """Return the key, or ``None`` if there is none. Raises for rows that others wrote."""
        return self._one(key_id, self._db.rows(key_id))

    def _one(self, key_id: str, found: list[tuple[Rows, bool]]) -> Key | None:
        if not found:
            return None
        ((rows, intact),) = found
        key = self._key(rows) if intact else None
        if key is None:
            raise self._db.altered(key_id)
        return key

    def _key(self, rows: Rows) -> Key | None:
        """Return the key in rows that are as they were written, or ``None`` if they make none."""
        try:
            tags = _tags(str(rows.key["tags"]))
            return Key(
                *(str(rows.key_id), _visible(tags), tuple(map(_version, rows.versions))),
                deleted=_time(rows.key["deleted"]),
                enrolled=_FOREIGN not in tags,
            )
        except (ValueError, TypeError):
            return None


def _readable(key_id: str, key: Key | None, version: str | None) -> str:
    """Return the id of the version to read, the current one by default."""
    if key is None or key.deleted is not None:
        raise _not_found(key_id, deleted=key is not None)
    found = key.current if version is None else key.version(version)
    if found is None:
        msg = f"it has no version {version}" if version else "it has no current version"
        raise KeyNotFound(msg, key_id=key_id, todo="Look at its versions with show")
    if found.state not in {VersionState.CURRENT, VersionState.PREVIOUS}:
        msg = f"its version {found.id} is {found.state} and can't be read"
        raise KeyNotFound(msg, key_id=key_id, todo="Read a version that is current or previous")
    return found.id


def _not_found(key_id: str, *, deleted: bool = False) -> KeyNotFound:
    if deleted:
        return KeyNotFound("it is deleted", key_id=key_id, todo="Restore it first")
    return KeyNotFound("there is no such key", key_id=key_id, todo="Create it, or check the name")


def _tags(text: str) -> dict[str, str]:
    tags = json.loads(text)
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise ValueError
    return tags


def _visible(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in tags.items() if name != _FOREIGN}


def _version(row: Mapping[str, object]) -> Version:
    compromised = row["compromised"]
    if compromised not in {None, _PENDING, _REVOKED}:
        raise ValueError
    return Version(
        id=str(row["id"]),
        state=VersionState(str(row["state"])),
        created=datetime.fromisoformat(str(row["created"])),
        base_mark=str(row["base"]),
        superseded=_time(row["superseded"]),
        retired=_time(row["retired"]),
        compromised=compromised is not None,
        revoked=compromised == _REVOKED,
    )


def _text(time: datetime) -> str:
    # All of one length, so that sorting the texts sorts the times.
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text is not None else None


def _insert(
    connection: sqlite3.Connection,
    key_id: str,
    version_id: str,
    base_mark: str,
    now: datetime,
    sealed: bytes,
) -> None:
    connection.execute(
        "INSERT INTO versions (key_id, id, base, state, created, sealed) VALUES (?, ?, ?, ?, ?, ?)",
        (key_id, version_id, base_mark, VersionState.CURRENT, _text(now), sealed),
    )
