"""The pool of randomness: every byte once, in few and large draws."""

import os
import posix  # os._exit is wrapped where coverage is measured, and must not be
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from daena_kms.errors import StoreUnavailable
from daena_kms.stores.randomness import MAX_DRAW, Pool, local_random
from hypothesis import given
from hypothesis import strategies as st


class Source:
    """Numbers the bytes that it gives, three bytes a number, and remembers each draw."""

    def __init__(self) -> None:
        self.draws: list[int] = []
        self.failing = False
        self._next = 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        """Return the next ``count`` numbers' worth of bytes."""
        with self._lock:
            self.draws.append(count)
            if self.failing:
                raise StoreUnavailable("the source is away")
            numbers = range(self._next, self._next + count)
            self._next += count
        return bytes(number % 251 for number in numbers)


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=40), st.integers(0, 5000))
def test_bytes_come_in_order_and_each_once(counts: list[int], expected: int) -> None:
    """What the source gave is handed out once, whole and in order, however much was expected."""
    source = Source()
    pool = Pool(source, expected)
    taken = b"".join(pool(count) for count in counts)
    assert taken == bytes(number % 251 for number in range(sum(counts)))
    assert max(source.draws) <= MAX_DRAW
    assert min(source.draws) >= 1


@pytest.mark.parametrize(
    ("size", "keys", "draws"), [(32, 100, 4), (32, 32, 1), (64, 32, 2), (16, 1, 1), (512, 10, 5)]
)
def test_one_draw_serves_many_keys(size: int, keys: int, draws: int) -> None:
    """A run that says what it needs asks its source as seldom as 1,024 bytes a call allow."""
    source = Source()
    pool = Pool(source, size * keys)
    for _ in range(keys):
        pool(size)
    assert len(source.draws) == draws
    assert sum(source.draws) == size * keys


def test_the_pool_is_filled_ahead_again_and_again() -> None:
    """Each time that half a draw is left and more is expected, the next is drawn."""
    source = Source()
    pool = Pool(source, 4 * MAX_DRAW)
    for taken, draws in ((500, 1), (100, 2), (900, 2), (40, 3), (1000, 3), (1000, 4)):
        pool(taken)
        assert len(source.draws) == draws


def test_nothing_is_drawn_before_it_is_needed() -> None:
    """A pool that nobody asks draws nothing."""
    source = Source()
    Pool(source, 10_000)
    assert source.draws == []


def test_what_was_not_expected_is_drawn_as_it_is_needed() -> None:
    """Beyond the estimate no more is drawn than what is asked for."""
    source = Source()
    pool = Pool(source, 0)
    pool(48)
    pool(16)
    assert source.draws == [48, 16]


def test_a_source_that_fails_is_heard_of_when_it_matters() -> None:
    """A draw ahead that fails is nobody's error; a byte that is missing is."""
    source = Source()
    pool = Pool(source, 3 * MAX_DRAW)
    pool(MAX_DRAW // 2 - 1)
    source.failing = True
    pool(1)
    pool(MAX_DRAW // 4)
    pool(MAX_DRAW // 4)
    with pytest.raises(StoreUnavailable, match="the source is away"):
        pool(2 * MAX_DRAW)
    source.failing = False
    assert len(pool(64)) == 64


def test_many_threads_share_no_byte() -> None:
    """Sixteen threads take pieces of what was drawn, and no piece twice."""
    drawn: list[bytes] = []

    def source(count: int) -> bytes:
        fresh = local_random(count)
        drawn.append(fresh)
        return fresh

    pool = Pool(source, 16 * 40 * 16)
    with ThreadPoolExecutor(16) as threads:
        pieces = list(threads.map(lambda _: pool(16), range(16 * 40)))
    whole = {draw[start : start + 16] for draw in drawn for start in range(0, len(draw), 16)}
    assert len(set(pieces)) == 16 * 40
    assert set(pieces) <= whole


def test_no_thread_waits_for_a_draw_ahead() -> None:
    """While one thread draws ahead, another takes what is there."""
    asked, answered = threading.Event(), threading.Event()

    def source(count: int) -> bytes:
        if asked.is_set() or threading.current_thread() is not threading.main_thread():
            asked.set()
            assert answered.wait(10)
        return local_random(count)

    pool = Pool(source, 4 * MAX_DRAW)
    pool(400)
    with ThreadPoolExecutor(1) as threads:
        drawing = threads.submit(pool, 200)
        assert asked.wait(10)
        assert len(pool(200)) == 200
        answered.set()
        assert len(drawing.result()) == 200


def test_the_system_gives_as_many_bytes_as_asked() -> None:
    """The operating system's generator is used as it is."""
    assert [len(local_random(count)) for count in (0, 1, 32)] == [0, 1, 32]
    assert local_random(32) != local_random(32)


@pytest.mark.parametrize("size", [0, 1, 15, 17, 1024])
@pytest.mark.parametrize("expected", [0, 4 * MAX_DRAW])
def test_an_answer_of_another_length_ends_with_an_error(size: int, expected: int) -> None:
    """Empty, short or long: it is asked once, and no byte of it is handed out."""
    asked: list[int] = []

    def source(count: int) -> bytes:
        asked.append(count)
        assert len(asked) < 3
        return bytes(size if size != count else count + 1)

    pool = Pool(source, expected)
    with pytest.raises(StoreUnavailable, match=r"gave \d+ bytes instead of \d+"):
        pool(16)
    assert len(asked) == 1


def test_a_draw_ahead_that_is_empty_is_heard_of_when_it_matters() -> None:
    """As one that fails: the bytes that are there are still good."""
    answers = iter([bytes(MAX_DRAW)])
    pool = Pool(lambda _: next(answers, b""), 3 * MAX_DRAW)
    assert len(pool(MAX_DRAW - 8)) == MAX_DRAW - 8
    assert len(pool(8)) == 8
    with pytest.raises(StoreUnavailable, match="gave 0 bytes"):
        pool(8)


def test_a_child_process_hands_out_none_of_the_parent_s_bytes() -> None:
    """Also if it is forked while another thread of the parent draws."""
    source = Source()
    pool = Pool(source, 2 * MAX_DRAW)
    pool(16)
    drawing, go_on = threading.Event(), threading.Event()

    def slow(count: int) -> bytes:
        if not drawing.is_set():
            drawing.set()
            assert go_on.wait(10)
        return local_random(count)

    held = Pool(slow, 64)
    with ThreadPoolExecutor(1) as threads:
        parent = threads.submit(held, 64)
        assert drawing.wait(10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads is the point
            child = os.fork()
        if child == 0:  # pragma: no cover - its coverage is not collected
            before = len(source.draws)
            fresh = len(pool(16)) == 16 and len(source.draws) == before + 1
            posix._exit(0 if fresh and len(held(8)) == 8 else 1)
        go_on.set()
        assert len(parent.result()) == 64
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
