"""Keys and versions as every store shows them, and what each store can do.

The words of this project, used in this sense in code, messages, records and documents:

key
    A named series of versions of one value: an encryption key, an API token, a password.
version
    One value; immutable, and known by the store's own version id.
current, previous, pending
    The version to use now; the version before it; a version that is written but not yet current.
    An *abandoned* version was pending, and is never promoted.
managed
    A key that carries the tag ``daena.managed``. No other key is ever changed.
enrolled
    A managed key that daena-kms has created, adopted or enrolled. A tag alone enrols nothing: the
    next run *enrols* such a key, and rotates it a day later at the earliest.
base
    The version that a rotation starts from: the one that is current when it begins. A base is
    always named by its ref.
ref
    The name of a version in plans and intents. A listing and a closer look show the same ref. On
    Azure it is a name of ours in a tag; on the other stores it is the version id.
base mark
    The short hash in a version id that shows which version it was made from.
promote
    Make a pending version the current one. Grace begins at promotion.
grace
    How long a previous version stays readable after a rotation.
retire
    Make a version unreadable, but recoverable. ``Capabilities`` says how far each store can.
destroy
    Erase a version for good.
unlabelled
    An AWS version without a label: we removed its last one, because AWS can't destroy one version
    (a run's summary counts it as ``released``), or because a newer version needed the label. It is
    kept by its id and readable by it. AWS removes such versions only while a secret has more than
    100 versions. One that was current counts as previous.
revoke
    Retire a version at once, without grace, because its value is *compromised*: others know it.
mark
    What an emergency rotation writes on the compromised version in the store itself, before the
    promotion. It stays there when the version is retired, as far as the store can keep it. (The
    short hash in a version id is the *base mark*.)
pending revocation
    A compromised version that must still be retired. The mark says so in the store, and only a look
    at the store ends it. The log may name further ones; a run looks each of them up.
hold, held
    A key on hold is not changed until it is released, or until the time at which its hold ends.
release
    End a hold.
claim
    The right to rotate one key now, where the store can't decide a race by itself.
unresolved
    An action whose result nobody knows: it has an intent and no outcome, or the store did not
    answer. A later run looks at the key and writes the result, once the look shows it.
interrupted
    A rotation that began and did not end. If its base is still current, the next rotation of the
    key *finishes* it: with a fresh value, never by promoting the pending version.
overdue
    Past its due time. The *lateness* says for how long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from daena_kms.rules.names import mark

#: A version is promoted at most this long after the time in its id, or it is abandoned. Where a
#: store keeps no time of promotion, grace counts from the time in the id plus this bound.
PROMOTION_BOUND = timedelta(minutes=15)


class VersionState(StrEnum):
    """The state of a version."""

    CURRENT = "current"
    #: Was current once, and is readable.
    PREVIOUS = "previous"
    #: Written by a rotation that has not promoted it; a reader of the current one does not see it.
    PENDING = "pending"
    #: Written by a rotation that lost its race, or crashed and was replaced; never promoted.
    ABANDONED = "abandoned"
    #: Unreadable, as far as the store can make it so (see its capabilities), but recoverable.
    RETIRED = "retired"
    DESTROYED = "destroyed"


#: The states of a version that never was current.
NEVER_CURRENT = frozenset({VersionState.PENDING, VersionState.ABANDONED})


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable value, known by the store's own version id. The value itself is not here."""

    id: str
    state: VersionState
    #: When it was created; where the store does not say, the latest possible time.
    created: datetime
    #: The earliest possible time, where ``created`` is only a bound.
    created_earliest: datetime | None = None
    #: The mark (see :func:`daena_kms.rules.names.mark`) of the id of the version it was made from.
    base_mark: str | None = None
    #: The latest time at which it can have stopped being current: grace counts from here. For an
    #: abandoned version, when it was given up; ``None`` where nothing of it needs to be retired.
    superseded: datetime | None = None
    retired: datetime | None = None
    #: When it will be destroyed, where that was asked for and the store waits. Until then a person
    #: can cancel it; for us it is destroyed, and we leave it alone.
    to_be_destroyed: datetime | None = None
    #: When it expires, where its owner has set such a date.
    expires: datetime | None = None
    #: Its name in a listing, where the listing does not show the id.
    alias: str | None = None
    #: Whether it carries the mark of an emergency rotation: others know its value.
    compromised: bool = False
    #: Whether it was revoked since. A person who makes it readable again after that has decided so:
    #: one mark leads to one revocation.
    revoked: bool = False
    #: Whether nothing in the store names it but its id; see *unlabelled*. It is never retired.
    unlabelled: bool = False
    #: Whether the store can keep it by its id alone, which makes room for a newer version.
    gives_way: bool = False
    #: Whether it never was current, where its state no longer says so: it is destroyed.
    orphan: bool = False

    @property
    def to_revoke(self) -> bool:
        """Whether the store says that it must still be retired, at once and without grace."""
        return self.compromised and not (self.revoked or self.over)

    @property
    def was_current(self) -> bool:
        """Whether it is current, or once was."""
        return self.state not in NEVER_CURRENT and not self.orphan

    @property
    def over(self) -> bool:
        """Whether its retirement is complete: done, and recorded with its time."""
        noted = self.state is VersionState.RETIRED and self.retired is not None
        return noted or self.state is VersionState.DESTROYED

    @property
    def ref(self) -> str:
        """The name of the version in plans and intents, the same in a listing and in a look."""
        return self.alias or self.id


@dataclass(frozen=True, slots=True)
class Key:
    """A named series of versions, as one listing or one look at the key showed it."""

    id: str
    #: The key's ``daena.*`` tags.
    tags: Mapping[str, str]
    versions: tuple[Version, ...]
    #: The other rotation that owns the key (``"Secrets Manager rotation"``), or ``None``.
    owner: str | None = None
    deleted: datetime | None = None
    #: Whether its deletion was begun and never ended: it counts as deleted, and some version reads.
    half_deleted: bool = False
    #: How many more versions the store can keep readable; ``None``: no limit that matters.
    room: int | None = None
    #: How many more than that an emergency rotation may add.
    reserve: int = 0
    #: How many more versions the store keeps for sure, in whatever state, by their ids alone where
    #: it also does that. ``None``: not looked up, or there is no such limit. ``versions`` holds all
    #: of them where it is known.
    more_kept: int | None = None
    #: Where only a closer look shows the versions before the current one: when the oldest of them
    #: that may still be readable stopped being current. ``None``: ``versions`` holds all versions.
    older_since: datetime | None = None
    #: Where only a closer look shows which: whether a version may be marked and not yet revoked.
    unrevoked: bool = False
    #: Why it has no current version, where the store knows; or what its readers may not find.
    trouble: str | None = None
    #: Whether the store shows that daena-kms created, adopted or enrolled it.
    enrolled: bool = True
    #: When a run enrolled it because of its tags, where the store keeps that apart from the tags.
    enrolled_by_tag: datetime | None = None
    #: Why a fresh value can't replace its value, as far as the store shows without the value.
    unfit: str | None = None
    #: What somebody else's change removed that consumers or we need, or added that is not of our
    #: form, and how to correct it.
    drift: str | None = None
    #: What the store's driver keeps of this look (labels, an etag); only the driver reads it.
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
        """The version that was current right before the current one, if it is still readable.

        Never one that is kept by its id alone: it may be there only because the store can't erase.
        """
        named = (v for v in self.versions if not v.unlabelled)
        readable = [v for v in named if v.state is VersionState.PREVIOUS]
        current = self.current
        if current is not None and current.base_mark is not None:
            for version in readable:
                if mark(version.id) == current.base_mark:
                    return version
        # First a version that nothing says when it was superseded: somebody else's came after it.
        return max(
            readable,
            key=lambda v: (v.superseded is None, v.superseded or v.created, v.created),
            default=None,
        )

    def made_from(self, version: Version, ref: str | None) -> bool:
        """Whether ``version`` was made from the version with this ref (``None``: from none).

        The base mark is made from an id, and not every listing shows ids.
        """
        known = {mark(v.id) for v in self.versions if v.ref == ref} or {mark(ref)}
        return version.base_mark in known

    def version(self, version_id: str) -> Version | None:
        """Return the version with that id, or ``None``."""
        return next((v for v in self.versions if v.id == version_id), None)


@dataclass(frozen=True, slots=True)
class Revoking:
    """What revoking a compromised version does on a store, in words for people."""

    #: What is done to the version.
    means: str
    #: Who can still read it after that; ``None``: nobody can.
    readable: str | None
    #: Which readers are refused from then on, and for how long.
    breaks: str
    #: How a person who needs the version after all can read it again.
    undo: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do, declared by its adapter and never faked."""

    #: How a retired version can still be read, in words for people; ``None``: it can't.
    retired_readable: str | None
    #: Whether one version can be erased; ``False``: at most its labels are removed.
    destroys_version: bool
    #: What "destroy" means here, in words for people; ``None``: nothing can be done.
    destroy_means: str | None
    #: Whether a deleted key can be brought back.
    restores_key: bool
    #: For how long a deleted key can be brought back, in words for people.
    delete_means: str
    #: What revoking a compromised version does on this store.
    revoking: Revoking
    #: How many undestroyed versions one key can have; ``None``: no limit that matters.
    max_versions: int | None = None
    #: Whether a retired version counts among them until it is destroyed.
    counts_retired: bool = False
    #: The largest ``daena.keep``.
    max_keep: int = 100
    #: Whether a listing shows a key's versions before the current one.
    lists_versions: bool = True
    #: Whether a rotation that begins from a listing fails if the key has changed since.
    fenced: bool = False
    #: What a person must know before enrolling a key that consumers already read.
    adopt_note: str | None = None
