"""Take looks at many keys side by side, and hand them out in the order that was asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

#: So many looks are taken at most before the first of them is handed out. A look that takes long
#: keeps none of the workers waiting, and very many keys do not fill the memory.
_AHEAD = 250


def in_order[T, R](look: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield what ``look`` returns for each of the items, in their order.

    A caller that stops early, or is interrupted, waits for the looks that have begun and begins no
    more.

    Args:
        look: Takes one look. It is called from several threads at once; an error of it is raised
            in its turn.
        items: What is looked at.
        workers: How many looks are under way at once.
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if workers == 1 or len(first) == 1:
        yield from map(look, chain(first, rest))
        return
    begun: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="daena-kms-look")
    try:
        for item in chain(first, rest):
            begun.append(pool.submit(look, item))
            if len(begun) >= _AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
