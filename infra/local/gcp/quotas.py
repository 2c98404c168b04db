"""Secret Manager's quotas, as its page names them: cloud.google.com/secret-manager/quotas.

Those for AddSecretVersion and
UpdateSecret are "soft-enforced": "continue serving requests beyond their quota as long as our
backend systems can handle the load". So a simulator enforces them only where a test asks for that.
"""

from collections import deque
from collections.abc import Callable, Iterator

from infra.local.gcp.names import Parent

#: By operation, how often a second it may be called for one secret, or for one version: if the
#: secret is global, and if it is regional.
SECRET = ("AddSecretVersion", "UpdateSecret"), 2, 80
VERSION = ("EnableSecretVersion", "DisableSecretVersion", "DestroySecretVersion"), 1, 50
#: How often a minute a project's operations may be called.
ACCESSES, READS, WRITES = 90_000, 600, 600
_MINUTE = 60.0


class _Window:
    """At most so many calls within so many seconds, counted back from each call."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._taken: deque[float] = deque()

    def is_full(self, now: float) -> bool:
        """Whether one more call at this time is one too many."""
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        return len(self._taken) >= self._limit

    def take(self, now: float) -> None:
        """Count a call."""
        self._taken.append(now)


class Quotas:
    """The calls of the last minute, and whether one more is within every quota."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows: dict[tuple[str, int], _Window] = {}

    def take(self, operation: str, resource: str, parent: Parent) -> bool:
        """Count a call if it is within every quota, and return whether it is.

        Args:
            operation: Such as ``UpdateSecret``.
            resource: The name of the secret or version that it is about.
            parent: Where that is.
        """
        now = self._monotonic()
        windows = [
            self._windows.setdefault((whose, limit), _Window(limit, seconds))
            for whose, limit, seconds in _limits(operation, resource, parent)
        ]
        if any(window.is_full(now) for window in windows):
            return False
        for window in windows:
            window.take(now)
        return True


def _limits(operation: str, resource: str, parent: Parent) -> Iterator[tuple[str, int, float]]:
    """Yield whose calls a quota counts together, how many there may be, and in how many seconds."""
    for operations, on_global, on_regional in (SECRET, VERSION):
        if operation in operations:
            limit = on_global if parent.location is None else on_regional
            # The page's quotas by the minute are sixty times these, so they refuse nothing more.
            yield f"{operations[0]} {resource}", limit, 1.0
    if operation == "AccessSecretVersion":
        yield "accesses", ACCESSES, _MINUTE
    elif operation.startswith(("Get", "List", "Test")):
        yield "reads", READS, _MINUTE
    else:
        yield "writes", WRITES, _MINUTE
