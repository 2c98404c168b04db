"""The rows of one key in the local store's database, and the text of them that is authenticated."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

#: What is authenticated of a key beside its id: a column, and the version of the schema since
#: which it is there. A new column is added here, and nowhere else.
KEY_FIELDS: Mapping[str, int] = {"tags": 1, "current": 1, "deleted": 1}
#: What is authenticated of each of its versions. ``erased`` says that the value is gone; the value
#: itself is bound to the key and the version by its own encryption.
VERSION_FIELDS: Mapping[str, int] = {
    "id": 1,
    "base": 1,
    "state": 1,
    "created": 1,
    "superseded": 1,
    "retired": 1,
    "erased": 1,
    "compromised": 3,
}
_COLUMNS: Mapping[str, str] = {"erased": "v.sealed IS NULL"}
#: The first version of the schema whose keys carry a proof.
PROVED = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database holds of one key, as it stands there: nothing of it is checked."""

    key_id: object
    key: Mapping[str, object]
    versions: tuple[Mapping[str, object], ...]
    #: The code over all of this, or ``None``.
    proof: object

    def text(self) -> bytes:
        """Return the one text that stands for these rows, and for no others."""
        versions = sorted((dict(version) for version in self.versions), key=_id)
        content = ["daena-kms key", self.key_id, dict(self.key), versions]
        # What is neither text nor a number nor NULL was not written by us, and matches nothing.
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=repr)
        return text.encode("ascii")


def load(
    connection: sqlite3.Connection, key_id: str | None = None, *, schema: int
) -> Iterator[Rows]:
    """Yield the rows of all keys, or of one, in the order of their ids; the newest version first.

    It is one statement, so that a key and its versions are read at the same moment.

    Args:
        connection: The database.
        key_id: Only this key.
        schema: The version of the schema that the database has.
    """
    of_key = fields(KEY_FIELDS, schema)
    of_version = fields(VERSION_FIELDS, schema)
    columns = [*(f"k.{name}" for name in of_key), *(_COLUMNS.get(n, f"v.{n}") for n in of_version)]
    proof = "k.proof" if schema >= PROVED else "NULL"
    parts = ["SELECT k.id,", proof, *(f", {column}" for column in columns)]
    parts.append("FROM keys k LEFT JOIN versions v ON v.key_id = k.id")
    parts += [] if key_id is None else ["WHERE k.id = ?"]
    statement = " ".join([*parts, "ORDER BY k.id, v.created DESC, v.id DESC"])
    found = connection.execute(statement, () if key_id is None else (key_id,))
    start = 2 + len(of_key)
    for (name, proved), group in groupby(found, key=itemgetter(0, 1)):
        lines = list(group)
        yield Rows(
            key_id=name,
            key=dict(zip(of_key, lines[0][2:start], strict=True)),
            versions=tuple(
                dict(zip(of_version, line[start:], strict=True))
                for line in lines
                if line[start] is not None  # a key without versions has one line of NULLs
            ),
            proof=proved,
        )


def fields(among: Mapping[str, int], schema: int) -> list[str]:
    """Return the names of the fields that this version of the schema has."""
    return [name for name, since in among.items() if since <= schema]


def _id(version: Mapping[str, object]) -> str:
    return repr(version["id"])
