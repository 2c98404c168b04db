"""Many calls at the same moment, each in a thread of this process."""

import threading
from collections.abc import Callable


def at_once[T](calls: list[Callable[[], T]]) -> list[T | BaseException]:
    """Make all calls at the same moment, each in a thread; return answers and errors."""
    barrier = threading.Barrier(len(calls))
    found: list[T | BaseException] = []

    def one(call: Callable[[], T]) -> None:
        barrier.wait()
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001 - the test looks at each
            found.append(error)

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
