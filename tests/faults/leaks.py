"""Finds a value in text, in whatever form it got there."""

import base64
import contextlib
import json
import logging
import re
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from daena_kms.cloud_kms import CloudKMSAdapter
from daena_kms.errors import DaenaKMSError
from daena_kms.sdk.quiet import quiet

from tests.worlds.base import DAY, FaultWorld

KEY, NEW = "app-key", "new-key"
#: Whose loggers may keep their records from the root's handlers.
SDKS = ("azure", "botocore", "google", "grpc", "msal", "obstore", "requests", "urllib3")

#: A shorter piece could be found by chance.
_LEAST = 8
_STRETCH = re.compile(r"[A-Za-z0-9_-]{16,}")


def forms(value: str) -> set[str]:
    """Return what a value may look like: itself, base64, hexadecimal, URL-quoted, JSON."""
    raw = value.encode()
    found = {value, quote(value), quote(value, safe=""), repr(value)[1:-1]}
    found |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found |= set(_encoded(raw))
    # A form of a form still holds the plain stretches of a value.
    found |= set(_STRETCH.findall(value))
    with contextlib.suppress(ValueError):
        # What a key's text stands for counts as much as the text.
        found |= set(_encoded(base64.b64decode(value, validate=True)))
    return {form for form in found if len(form) >= _LEAST}


def _encoded(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield raw.hex().upper()
    for shift in range(3):
        # In the middle of something longer the same bytes are other base64; the ends are mixed.
        text = base64.b64encode(bytes(shift) + raw).decode()[4 if shift else 0 :]
        inner = text.rstrip("=")[: -1 if text.endswith("=") else None]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def leaked(values: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Return a description of each text that holds one of the values; the value is not shown."""
    every = [form for value in values for form in forms(value)]
    assert every
    found = []
    for text in texts:
        hits = [form for form in every if form in text]
        if hits:
            hidden = text
            for form in sorted(hits, key=len, reverse=True):
                hidden = hidden.replace(form, "<the value>")
            found.append(hidden[:300])
    return found


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield all that an error says of itself, and what it was raised from or beside."""
    yield "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        yield str(seen)
        yield repr(seen)
        yield repr(seen.args)
        yield repr(vars(seen))
        seen = seen.__cause__ or seen.__context__


class Recorder(logging.Handler):
    """Keeps every record that reaches it, as text with all its parts."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.names: set[str] = set()
        self._formatter = logging.Formatter("%(name)s %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.names.add(record.name)
        self.texts.append(self._formatter.format(record))
        self.texts.append(repr(record.__dict__))


@contextlib.contextmanager
def recorded() -> Iterator[Recorder]:
    """Record everything that is logged anywhere, at DEBUG, whatever an SDK does to its loggers."""
    recorder = Recorder()
    loggers = [logging.getLogger(), *map(logging.getLogger, SDKS)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(recorder)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
    try:
        yield recorder
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(recorder)
            logger.setLevel(level)
            logger.propagate = propagate


def canary() -> str:
    """Return a fresh value whose JSON, URL and base64 forms all differ from it."""
    return f'{secrets.token_urlsafe(24)}/+"é\\&{secrets.token_urlsafe(24)}'


def live(world: FaultWorld) -> list[str]:
    """Do all that touches values, and return the values."""
    given, theirs, next_one = canary(), secrets.token_urlsafe(32), canary()
    adapter = world.adapter
    values = [given, theirs, next_one]
    values.append(adapter.create_key("made-key", given))
    values.append(adapter.get_key("made-key"))
    values.append(adapter.rotate_key("made-key", next_one))
    values.append(adapter.rollback_key("made-key"))
    values.append(adapter.get_key("made-key", "previous"))
    adapter.delete_key("made-key")
    adapter.restore_key("made-key")
    operations = world.operations()
    operations.create(KEY)
    operations.create("pass-key", spec="password")
    operations.create(NEW, given)
    values += [adapter.get_key(KEY), adapter.get_key("pass-key")]
    with quiet():  # somebody else's use of the SDK is logged as ever
        world.foreign("their-key", theirs)
    operations.adopt("their-key", spec="token")
    assert len(world.run(91 * DAY).rotated) >= 3
    values += world.readable(NEW).values()
    leaked_now = world.run(91 * DAY, keys=[NEW], compromised=True, reason="it leaked")
    assert leaked_now.revoked == [NEW]
    world.operations(91 * DAY).rollback(KEY)
    values += [v for key_id in (KEY, "pass-key", NEW) for v in world.readable(key_id).values()]
    return values


def errors_of(adapter: CloudKMSAdapter, value: str) -> list[DaenaKMSError]:
    """Call what carries a value or reads one, and return the errors."""
    calls: list[Callable[[], object]] = [
        lambda: adapter.create_key(NEW, value),
        lambda: adapter.create_key("other-key", value, spec="aes-256"),
        lambda: adapter.create_key(NEW, value * 600),
        lambda: adapter.create_key(NEW, f"{value}\udcff"),
        lambda: adapter.rotate_key(KEY, value),
        lambda: adapter.rollback_key(KEY),
        lambda: adapter.get_key(KEY),
        lambda: adapter.create_key(value),
        lambda: adapter.create_key(NEW, value, spec=value),
    ]
    found = []
    for call in calls:
        try:
            call()
        except DaenaKMSError as error:
            found.append(error)
    return found


def check_errors(world: FaultWorld, logs: Recorder, value: str, least: int = 4) -> None:
    """Assert that what goes wrong while a value is written or read shows it nowhere."""
    errors = errors_of(world.adapter, value)
    # What stands where an id or a spec is asked for was no value: there an error quotes it.
    kept = [e for e in errors if "is not a key id" not in str(e) and "key spec" not in str(e)]
    assert len(kept) == len(errors) - 2
    # Three values are such as no store takes; the rest are the fault's.
    assert len(kept) >= least
    assert leaked([value], [text for error in kept for text in texts_of(error)]) == []
    assert leaked([value], [text for text in logs.texts if "is not a key id" not in text]) == []
