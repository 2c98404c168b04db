"""One way from an SDK's errors to ours: a row says what an error means, and a call is mapped.

Each cloud's own module has the table of its codes. Texts of an SDK are never passed on: they hold
answers, and a validation error quotes the request.
"""

from collections.abc import Callable
from dataclasses import dataclass

from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.sdk.quiet import quiet


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of an SDK means to us: a row of a cloud's table.

    The texts may hold fields such as ``{operation}``; the cloud's module fills them with words
    that are safe to show.
    """

    error: type[DaenaKMSError]
    what: str
    todo: str

    def about(self, key_id: str | None, **words: object) -> DaenaKMSError:
        """Return our error for a key, or for none; ``words`` fill the texts' fields."""
        return self.error(self.what.format(**words), key_id=key_id, todo=self.todo)


def translated[T](
    call: Callable[[], T],
    errors: tuple[type[Exception], ...],
    translate: Callable[[Exception], DaenaKMSError],
) -> T:
    """Make a call with the SDK's loggers quiet, and raise our error for one of ``errors``."""
    try:
        with quiet():
            return call()
    except errors as error:
        ours = translate(error)
    # Raised out here, and so not chained: the SDK's error holds the answer and the request.
    raise ours


def not_installed(what: str, extra: str) -> ConfigError:
    """Return the error for an SDK that is missing; our ``extra`` of that name installs it."""
    return ConfigError(f"{what} is not installed", todo=f"Run: pip install 'daena-kms[{extra}]'")
