"""A key's value on its way in and out: exactly its bytes, whatever the locale, or a refusal."""

import codecs
import errno
import sys
from typing import BinaryIO, TextIO

from daena_kms.cli.streams import was_closed
from daena_kms.errors import ConfigError, DaenaKMSError
from daena_kms.rules.names import MAX_VALUE_BYTES, check_is_text
from daena_kms.rules.text import is_safe

_NO_INPUT = 'Pipe the value: printf %s "$VALUE" | daena-kms create KEY --value-stdin'


def read_value(key_id: str) -> str:
    """Return the value on standard input, its bytes as they are, a line's end at the end included.

    No more is read than a value may have, however much comes.

    Raises:
        ConfigError: There is no standard input, or it is too long or not UTF-8. The error does not
            quote it.
    """
    data = _bytes_of(sys.stdin, _NO_INPUT).read(MAX_VALUE_BYTES + 1)
    if len(data) > MAX_VALUE_BYTES:
        msg = f"the value has more than {MAX_VALUE_BYTES} bytes"
        raise ConfigError(msg, key_id=key_id, todo=f"Store 1 to {MAX_VALUE_BYTES} bytes of UTF-8")
    value = None
    try:
        value = data.decode("utf-8")
    except UnicodeDecodeError:
        value = None
    if value is None:  # raised out here: that error holds the value, and would be our context
        msg = "the value on standard input is not UTF-8 text"
        raise ConfigError(msg, key_id=key_id, todo="Encode binary values as base64")
    return value


def ends_with_newline(value: str) -> str | None:
    """Return a warning about a value that ends with a newline, or ``None``."""
    if not value.endswith(("\n", "\r")):
        return None
    return (
        "The value ends with a newline, which is stored with it. "
        'If it should not, pipe it without: printf %s "$VALUE"'
    )


def write_value(value: str, key_id: str) -> None:
    """Write a value to standard output: its bytes and nothing else, or nothing.

    A terminal gets a newline after it. A value that would act on the terminal, or that it would
    not show as it is, is refused there.

    Raises:
        ConfigError: The value is not UTF-8 text, or a terminal can't show it exactly.
        DaenaKMSError: Standard output takes no more; a part of the value may have been written.
    """
    data = check_is_text(value, key_id).encode()
    stream = sys.stdout
    output = _bytes_of(stream, "Redirect standard output to a file or a pipe")
    if stream.isatty():
        _check_shows(value, stream, key_id)
        data += b"\n"
    try:
        stream.flush()
        output.write(data)
        output.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has enough; Typer ends the command
            raise
        reason = error.strerror or type(error).__name__
        msg = f"the value can't be written to standard output: {reason}"
    else:
        return
    raise DaenaKMSError(msg, key_id=key_id, todo="Discard what was written, and try again")


def _check_shows(value: str, stream: TextIO, key_id: str) -> None:
    """Refuse what the terminal would not show character for character. Lines are fine: a PEM."""
    # In UTF-8, bytes of many letters are control characters to a terminal of another encoding.
    if not value.isascii() and _encoding(stream) != "utf-8":
        msg = "the value has letters that this terminal's encoding can't show"
    elif not all(map(is_safe, value.split("\n"))):
        msg = "the value has characters that a terminal would act on, or would not show"
    else:
        return
    todo = f"Pipe it, or write it to a file: daena-kms show {key_id} --reveal > FILE"
    raise ConfigError(msg, key_id=key_id, todo=todo)


def _encoding(stream: TextIO) -> str:
    try:
        return codecs.lookup(stream.encoding).name
    except (LookupError, TypeError):
        return ""


def _bytes_of(stream: TextIO | None, todo: str) -> BinaryIO:
    """Return the bytes beneath a standard stream, which no locale changes.

    Python has none for a stream that was closed before it started, and ours is an empty file.
    """
    if stream is None or was_closed(stream):
        raise ConfigError("standard input or output is closed", todo=todo)
    return stream.buffer
