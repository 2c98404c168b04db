"""One way from an SDK's errors to ours: a row says what an error means, and a call is mapped.

Each cloud's own module has the table of its codes and of its SDK's classes. Texts of an SDK are
never passed on: they hold answers, and a validation error quotes the request. Where only the text
tells two errors apart, we look for fixed words or a number in it, and show our own words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daena_kms.errors import AccessDenied, ConfigError, DaenaKMSError
from daena_kms.sdk.quiet import quiet

#: Clouds refuse a signature or an assertion that is dated further than this from their own time.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html: five minutes, on S3 15.
CLOCK_TOLERANCE = timedelta(minutes=4)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}", re.ASCII)


class WrongClock(AccessDenied):
    """A cloud refused a call because this machine's clock is wrong.

    Args:
        what: What happened.
        key_id: The key, if the call was about one.
        todo: The next step.
        theirs: The cloud's own time in the refusal, if it says it.
    """

    def __init__(
        self,
        what: str,
        *,
        key_id: str | None = None,
        todo: str | None = None,
        theirs: datetime | None = None,
    ) -> None:
        super().__init__(what, key_id=key_id, todo=todo)
        self.theirs = theirs


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of an SDK means to us: a row of a cloud's table.

    The texts may hold fields such as ``{operation}``; the cloud's module fills them with words
    that are safe to show.
    """

    error: type[DaenaKMSError]
    what: str
    todo: str
    #: Whether a policy or a role refused the call: see :class:`~daena_kms.errors.AccessDenied`.
    by_policy: bool = False

    def about(self, key_id: str | None, **words: object) -> DaenaKMSError:
        """Return our error for a key, or for none; ``words`` fill the texts' fields."""
        error = self.error(self.what.format(**words), key_id=key_id, todo=self.todo)
        if isinstance(error, AccessDenied):
            error.by_policy = self.by_policy
        return error


def translated[T](
    call: Callable[[], T],
    errors: tuple[type[Exception], ...],
    translate: Callable[[Exception], DaenaKMSError],
) -> T:
    """Make a call with the SDK's loggers quiet, and raise our error for one of ``errors``."""
    try:
        with quiet():
            return call()
    except DaenaKMSError:
        raise
    except errors as error:
        ours = translate(error)
    # Raised out here, and so not chained: the SDK's error holds the answer and the request.
    raise ours


def not_installed(what: str, extra: str) -> ConfigError:
    """Return the error for an SDK that is missing; our ``extra`` of that name installs it."""
    return ConfigError(f"{what} is not installed", todo=f"Run: pip install 'daena-kms[{extra}]'")


def safe_word(word: object) -> str:
    """Return a code of a service if it has the form of one, else nothing: it comes from outside."""
    return word if isinstance(word, str) and _WORD.fullmatch(word) else ""


def wrong_clock(
    service: str, theirs: datetime | None, key_id: str | None = None, ours: datetime | None = None
) -> WrongClock:
    """Return the error for a call that was refused because of this machine's clock.

    Args:
        service: Who refused it.
        theirs: The time in its answer, if there was one.
        key_id: The key, if the call was about one.
        ours: This machine's time; by default now.
    """
    measured = ""
    if theirs is not None:
        ahead = (ours or datetime.now(UTC)) - theirs
        side = "ahead of" if ahead > timedelta() else "behind"
        measured = f": it is {abs(ahead).total_seconds():.0f} s {side} theirs"
    msg = f"{service} refused the call because this machine's clock is wrong{measured}"
    return WrongClock(msg, key_id=key_id, todo="Set this machine's clock by NTP", theirs=theirs)


def is_off(theirs: datetime | None, ours: datetime | None = None) -> bool:
    """Return whether a cloud's time is so far from this machine's that signatures are refused."""
    return theirs is not None and abs((ours or datetime.now(UTC)) - theirs) > CLOCK_TOLERANCE


def read_date(header: object) -> datetime | None:
    """Read the ``Date`` header of an answer; ``None`` if there is none or it is malformed.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    from email.utils import parsedate_to_datetime

    try:
        read = parsedate_to_datetime(header if isinstance(header, str) else "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return read.replace(tzinfo=read.tzinfo or UTC)
