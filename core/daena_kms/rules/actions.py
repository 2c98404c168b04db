"""What a plan is made of: one thing to do with one key, or the reason why nothing is done."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daena_kms.errors import DaenaKMSError


class Kind(StrEnum):
    """What a plan says about a key."""

    ROTATE = "rotate"
    #: A rotation of a key on which an earlier one was interrupted.
    FINISH = "finish"
    RETIRE = "retire"
    DESTROY = "destroy"
    NOTHING = "nothing"
    HELD = "held"
    #: The key can't be handled as it is; the reason says what to mend.
    FAILING = "failing"


#: The kinds that change a store.
CHANGES = frozenset({Kind.ROTATE, Kind.FINISH, Kind.RETIRE, Kind.DESTROY})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, or the reason why nothing is done."""

    key_id: str
    kind: Kind
    reason: str
    #: The version that was current when this was planned.
    base: str | None = None
    #: The version to retire or destroy.
    version: str | None = None
    #: When the key is or was due.
    due: datetime | None = None
    #: Only for FAILING and HELD: the error that the key's outcome carries.
    error: DaenaKMSError | None = field(default=None, compare=False)
    #: A rotation away from a compromised version, or the retirement of one.
    compromised: bool = False

    @property
    def revokes(self) -> bool:
        """Whether this retires a compromised version, at once and without grace."""
        return self.compromised and self.kind is Kind.RETIRE
