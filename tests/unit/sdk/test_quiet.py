"""SDK loggers keep still while a call of ours is under way, and only then, and only here."""

import logging
import threading
from collections.abc import Iterator

import pytest
from daena_kms.sdk.quiet import quiet, watch

NAME = "quietsdk"


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    """A child logger of an SDK of that name, watched, at DEBUG."""
    child = logging.getLogger(f"{NAME}.endpoint")
    watch(NAME)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, NAME)
    yield child
    for each in (child, logging.getLogger(NAME)):
        each.filters.clear()


def test_every_level_is_dropped(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """Inside the block nothing is kept, not even an error; outside all is."""
    logger.debug("before")
    with quiet():
        logger.debug("inside")
        logging.getLogger(NAME).debug("inside, too")
        logger.info("told")
        logger.warning("warned")
        logging.getLogger(NAME).error("failed")
        logger.critical("ended")
    logger.debug("after")
    assert caplog.messages == ["before", "after"]


def test_blocks_may_stand_in_each_other(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """The outermost block counts, and an error ends a block like any end."""

    def fail() -> None:
        with quiet():
            with quiet():
                logger.debug("inner")
            logger.debug("outer")
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        fail()
    logger.debug("after")
    assert caplog.messages == ["after"]


def test_other_threads_are_heard(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """An application's own use of the SDK, at the same time, is logged as ever."""
    with quiet():
        thread = threading.Thread(target=logger.debug, args=("theirs",))
        thread.start()
        thread.join()
    assert caplog.messages == ["theirs"]


def test_other_loggers_are_heard(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """Only the watched packages keep still, not those whose names merely begin alike."""
    other = logging.getLogger(f"{NAME}2")
    with quiet():
        other.debug("other")
        logger.debug("ours")
    assert caplog.messages == ["other"]


def test_watching_again_is_harmless(logger: logging.Logger) -> None:
    """One filter on each logger, however often it is watched."""
    for _ in range(3):
        watch(NAME)
    assert len(logger.filters) == 1
