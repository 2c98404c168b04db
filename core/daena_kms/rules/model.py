"""Keys and versions as every store shows them, and what each store can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from daena_kms.rules.names import mark

#: A version is promoted at most this long after its id was stamped, or it is given up. Where a
#: store keeps no time of promotion, grace counts from the stamp plus this bound, never earlier.
PROMOTION_BOUND = timedelta(minutes=15)


class VersionState(StrEnum):
    """Where a version stands in its life."""

    CURRENT = "current"
    #: Was current once, and is readable.
    PREVIOUS = "previous"
    #: Written by a rotation that has not promoted it; invisible to a reader of the current one.
    PENDING = "pending"
    #: Written by a rotation that lost its race or crashed and was replaced; never promoted.
    ABANDONED = "abandoned"
    #: Unreadable (as far as the store can: see its capabilities) but recoverable.
    RETIRED = "retired"
    DESTROYED = "destroyed"


#: The states of a version that never was current.
NEVER_CURRENT = frozenset({VersionState.PENDING, VersionState.ABANDONED})


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable value, known by the store's own version id; the value is not in here."""

    id: str
    state: VersionState
    #: When it was made; where the store does not say, the latest moment it can have been made.
    created: datetime
    #: The earliest moment it can have been made, where ``created`` is only a bound.
    created_earliest: datetime | None = None
    #: The mark (see :func:`daena_kms.rules.names.mark`) of the id of the version it was made from.
    base_mark: str | None = None
    #: The latest moment at which it can have stopped being current: grace counts from here.
    superseded: datetime | None = None
    retired: datetime | None = None
    #: When its owner lets it expire, where the store knows such a date.
    expires: datetime | None = None
    #: What a listing knows it by, where it does not show the id.
    alias: str | None = None

    @property
    def over(self) -> bool:
        """Whether its retirement is complete: done, and noted with its time."""
        noted = self.state is VersionState.RETIRED and self.retired is not None
        return noted or self.state is VersionState.DESTROYED

    @property
    def ref(self) -> str:
        """What plans and intents name the version by: the same in a listing and in a look."""
        return self.alias or self.id


@dataclass(frozen=True, slots=True)
class Key:
    """A named series of versions, as one listing or one look at the key showed it."""

    id: str
    #: The key's ``daena.*`` tags.
    tags: Mapping[str, str]
    versions: tuple[Version, ...]
    #: Who else rotates it (``"Secrets Manager rotation"``), or ``None``.
    owner: str | None = None
    deleted: datetime | None = None
    #: How many more versions the store can keep readable; ``None``: no limit that matters.
    room: int | None = None
    #: Where only a closer look shows the versions before the current one: since when the oldest
    #: that may be readable still was no longer current. ``None``: ``versions`` holds all there are.
    older_since: datetime | None = None
    #: Why it has no current version, where the store knows.
    trouble: str | None = None
    #: What somebody else's change has taken away that consumers or we need, and how to mend it.
    drift: str | None = None
    #: What the store's own file remembers of this look (labels, an etag); opaque to others.
    handle: object = field(default=None, repr=False, compare=False)

    @property
    def current(self) -> Version | None:
        """The version to use now, or ``None`` for a key that never got one."""
        return next((v for v in self.versions if v.state is VersionState.CURRENT), None)

    @property
    def current_ref(self) -> str | None:
        """What plans name the current version by, or ``None`` for a key that has none."""
        current = self.current
        return current.ref if current is not None else None

    @property
    def previous(self) -> Version | None:
        """The version that was current right before the current one, if it is still readable."""
        readable = [v for v in self.versions if v.state is VersionState.PREVIOUS]
        current = self.current
        if current is not None and current.base_mark is not None:
            for version in readable:
                if mark(version.id) == current.base_mark:
                    return version
        # Where nothing says when one was superseded, an outsider's version came after it.
        return max(
            readable,
            key=lambda v: (v.superseded is None, v.superseded or v.created, v.created),
            default=None,
        )

    def made_from(self, version: Version, ref: str | None) -> bool:
        """Whether ``version`` was made from the one that plans name ``ref`` (``None``: from none).

        The mark in its id is that of an id, which not every listing shows.
        """
        known = {mark(v.id) for v in self.versions if v.ref == ref} or {mark(ref)}
        return version.base_mark in known

    def version(self, version_id: str) -> Version | None:
        """The version of that id, or ``None``."""
        return next((v for v in self.versions if v.id == version_id), None)


@dataclass(frozen=True, slots=True)
class Revoking:
    """What it comes to when a compromised version is retired at once, in words for people."""

    #: What is done to the version.
    means: str
    #: Who can still read it after that; ``None``: nobody can.
    readable: str | None
    #: Who is refused from then on, and for how long.
    breaks: str
    #: How a person who needs it after all gets at it again.
    undo: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do, declared by its adapter and never faked."""

    #: What a retired version still allows, in words for people; ``None``: nothing reads it.
    retired_readable: str | None
    #: Whether one version can be erased; ``False``: it can only be let go.
    destroys_version: bool
    #: What "destroy" means here, in words for people; ``None``: nothing can be done about one.
    destroy_means: str | None
    #: Whether a deleted key can be brought back.
    restores_key: bool
    #: For how long, in words for people.
    delete_means: str
    #: What an emergency does to the old version here.
    revoking: Revoking
    #: How many versions one key can hold undestroyed, or ``None``.
    max_versions: int | None = None
    #: The largest ``daena.keep``.
    max_keep: int = 100
    #: Whether promotion is a compare-and-swap in the store.
    atomic_promotion: bool = True
    #: Whether a listing shows a key's versions before the current one.
    lists_versions: bool = True
    #: Whether a rotation begun on the word of a listing fails if the key has changed since.
    fenced: bool = False
    #: What a person must know who enrols a key that consumers read already.
    adopt_note: str | None = None
