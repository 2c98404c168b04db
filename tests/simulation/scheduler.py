"""Several processes in one: a simulated clock, and a thread for each, of which one runs at a time.

A process waits wherever it makes a call, so that all of them interleave there and nowhere else. Who
goes on when is only a matter of the simulated time: the same waits give the same history.
"""

import heapq
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from unittest import mock

from daena_kms.engine import clock as engine_clock
from daena_kms.sdk import pace
from daena_kms.stores.azure import set as azure_set

#: When every history begins.
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

_here = threading.local()
_monotonic, _sleep = time.monotonic, time.sleep


class Killed(BaseException):
    """The end of a process: nothing catches it, and nothing that it does after it takes effect."""


class Process:
    """What one thread does: ``body``, from its start to its end."""

    def __init__(self, scheduler: "Scheduler", name: str, body: Callable[[], object]) -> None:
        self.name = name
        self.dead = False
        #: Whether nothing runs beside it; then it need not wait.
        self.alone = False
        self.ended = False
        self.error: BaseException | None = None
        self._scheduler = scheduler
        self._body = body
        self._go = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        """Run until the first wait."""
        self._thread.start()
        self._scheduler.let_run()

    def resume(self) -> None:
        """Run until the next wait, or to the end."""
        self._go.release()
        self._scheduler.let_run()

    def wait(self, seconds: float) -> None:
        """Let others run for this long.

        Raises:
            Killed: The process has ended meanwhile, or had before.
        """
        if not (self.dead or self.alone):
            self._scheduler.after(seconds, self.resume)
            self._scheduler.waiting.release()
            self._go.acquire()
        if self.dead:
            raise Killed

    def die(self) -> None:
        """End here."""
        self.dead = True
        raise Killed

    @property
    def now(self) -> float:
        """The simulated time, in seconds from the beginning."""
        return self._scheduler.now

    def _live(self) -> None:
        _here.process = self
        try:
            self._body()
        except Killed:
            self.dead = True
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever runs the history
            self.error = error
        finally:
            self.ended = True
            self._scheduler.waiting.release()


class Scheduler:
    """The simulated time, and what is to happen when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.processes: list[Process] = []
        self.waiting = threading.Semaphore(0)
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def wall(self) -> datetime:
        """Return the simulated time as a date."""
        return START + timedelta(seconds=self.now)

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        """Let something happen so much later."""
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, event))

    def begin(self, after: float, name: str, body: Callable[[], object]) -> None:
        """Let a process begin so much later."""
        process = Process(self, name, body)
        self.processes.append(process)
        self.after(after, process.start)

    def let_run(self) -> None:
        """Wait until the process that was let go waits again, or has ended."""
        self.waiting.acquire()

    def run(self) -> None:
        """Let everything happen.

        Raises:
            BaseException: What ended a process, other than its death.
        """
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        for process in self.processes:
            if process.error is not None:
                raise process.error


def monotonic() -> float:
    """Return the simulated time in a simulated process, and the real one elsewhere."""
    process: Process | None = getattr(_here, "process", None)
    return _monotonic() if process is None else process.now


def sleep(seconds: float) -> None:
    """Wait in simulated time in a simulated process."""
    process: Process | None = getattr(_here, "process", None)
    if process is None:
        _sleep(seconds)
    else:
        process.wait(seconds)


class _Inline:
    """A pool of no threads: what it is given it does at once."""

    def __init__(self, *_given: object, **_named: object) -> None:
        pass

    def submit(self, work: Callable[..., object], *given: object) -> Any:
        """Do it."""
        from concurrent.futures import Future

        done: Future[object] = Future()
        try:
            done.set_result(work(*given))
        except BaseException as error:  # noqa: BLE001 - as a pool does
            done.set_exception(error)
        return done

    def shutdown(self, **_named: object) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


@contextmanager
def simulated(seed: str) -> Iterator[None]:
    """Let clocks, waits, pools and randomness be the simulation's own, for as long as the block.

    A clock that a function has taken as the default of an argument is exchanged there.
    """
    draw = random.Random(seed)  # noqa: S311 - the same history each time is the purpose
    bound: tuple[tuple[Any, tuple[object, ...]], ...] = (
        (engine_clock.RunClock.__init__, (monotonic,)),
        (pace.Pacer.__init__, (monotonic, sleep)),
    )
    with mock.patch.multiple(time, monotonic=monotonic, sleep=sleep), _bytes(draw):
        before = [(function, function.__defaults__) for function, _ in bound]
        named: dict[str, Any] = azure_set.Setter.__init__.__kwdefaults__ or {}
        kept = dict(named)
        for function, defaults in bound:
            function.__defaults__ = defaults
        named.update(monotonic=monotonic, sleep=sleep)
        ours = [m for name, m in sys.modules.items() if name.startswith("daena_kms.")]
        pools = [m for m in ours if "ThreadPoolExecutor" in vars(m)]
        patches = [mock.patch.object(m, "ThreadPoolExecutor", _Inline) for m in pools]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()
            named.update(kept)
            for function, old in before:
                function.__defaults__ = old


@contextmanager
def _bytes(draw: random.Random) -> Iterator[None]:
    """Let ids and values come from the seed. Nothing here is a secret."""
    state = random.getstate()
    random.seed(draw.random())
    try:
        with (
            mock.patch("random._urandom", draw.randbytes),
            mock.patch("os.urandom", draw.randbytes),
        ):
            yield
    finally:
        random.setstate(state)
