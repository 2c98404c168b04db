"""Follow a listing page by page, and notice one that can't end.

The clouds' clients follow a continuation token for as long as there is one. An answer that repeats
a token, two that alternate, or ever new ones with nothing in the pages would keep them busy for
ever: botocore's own paginators notice only the same token twice in a row.
"""

from collections import Counter
from collections.abc import Iterable

from daena_kms.errors import DaenaKMSError, StoreUnavailable

#: Pages without an item, one after another. A store may filter after it has cut its pages, so that
#: some are empty; 2,000 of 100 secrets each are far more than an account has by default.
MOST_EMPTY = 2_000
#: Pages with the same names. What changes while it is listed may show up on two of them.
MOST_ALIKE = 10


class Watch:
    """Watches the continuation tokens of one listing.

    Args:
        what: What is listed, for the message: ``the keys``.
        error: The error that is raised.
    """

    def __init__(self, what: str, error: type[DaenaKMSError] = StoreUnavailable) -> None:
        self._what = what
        self._error = error
        self._seen: set[int] = set()
        self._pages: Counter[int] = Counter()
        self._empty = 0

    def check(self, token: object, names: Iterable[object]) -> None:
        """Look at a page before the next one is asked for.

        Args:
            token: What the next page is asked for with; nothing if there is none.
            names: The names of what the page holds.

        Raises:
            DaenaKMSError: The listing never ends. It is of the class that was given.
        """
        if not token:
            return
        # A token may be as long as a page: its hash is enough to know it again.
        known = hash(token)
        if known in self._seen:
            raise self._endless("the service sent a continuation token again")
        self._seen.add(known)
        held = tuple(names)
        self._empty = 0 if held else self._empty + 1
        if self._empty >= MOST_EMPTY:
            raise self._endless(f"{MOST_EMPTY:,} pages in a row held nothing")
        if held:
            self._pages[hash(held)] += 1
            if self._pages[hash(held)] >= MOST_ALIKE:
                raise self._endless(f"{MOST_ALIKE} pages held the same")

    def _endless(self, why: str) -> DaenaKMSError:
        msg = f"the listing of {self._what} never ends: {why}"
        return self._error(msg, todo="Check what answers there, and any proxy in between")
