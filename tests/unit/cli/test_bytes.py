"""A value goes in and out byte for byte, or is refused, whatever the locale."""

import errno
import io
import json
import secrets
import sys

import pytest
from daena_kms.cli.values import read_value, write_value
from daena_kms.errors import ConfigError, DaenaKMSError
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.cli.shell import Shell

#: What locales, line ends and terminals change. Each ends with something that no test prints.
KINDS = {
    "letters": "grün 漢字 🔑",
    "newline": "line\n",
    "newlines": "\nline\n\n",
    "CRLF": "one\r\ntwo\r\n",
    "CR": "one\rtwo\r",
    "BOM": "\ufeffvalue",
    "NUL": "a\0b",
    "escapes": "\x1b[2J\x1b]0;title\x07\x9b1A",
    "directions": "\u202eabc\u2028",
    "spaces": "  \t value \xa0",
    "Ctrl-Z": "a\x1ab",
    "markup": "[red]x[/red] :skull: %s {0}",
}
ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8", "utf-16", "cp037"]
SHOWS = "a terminal would act on, or would not show"


class Bytes(io.BytesIO):
    """Bytes in memory, which a test may let fail."""


class Out(io.TextIOWrapper):
    """Standard output of an encoding, as a terminal or not."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        self.written = Bytes()
        super().__init__(self.written, encoding=encoding, newline="\r\n")
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether it is one."""
        return self._terminal


def written(value: str, encoding: str = "ascii", *, terminal: bool = False) -> bytes:
    """Write a value to such an output."""
    out = Out(encoding, terminal=terminal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        write_value(value, "key")
    return out.written.getvalue()


def read(data: bytes, encoding: str = "ascii") -> str:
    """Read a value from such an input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding=encoding))
        return read_value("key")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(ENCODINGS))
@example("", "ascii")
def test_bytes_pass_both_ways(value: str, encoding: str) -> None:
    """Into a pipe and out of one, in every encoding that a locale may set."""
    assert written(value, encoding) == value.encode()
    assert read(value.encode(), encoding) == value


@given(st.binary(), st.sampled_from(ENCODINGS))
@example(b"\xff\xfe", "latin-1")
@example("\ud800".encode(errors="surrogatepass"), "utf-8")
@example(b"\xc0\x80", "utf-8")
def test_bytes_that_are_no_text_are_refused(data: bytes, encoding: str) -> None:
    """Either exactly these bytes, or an error that does not hold them."""
    if data.decode(errors="ignore").encode() == data:
        assert read(data, encoding).encode() == data
        return
    with pytest.raises(ConfigError, match="not UTF-8 text") as refused:
        read(data, encoding)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_a_life(shell: Shell, kind: str) -> None:
    """Through the command, the log and the store, and back."""
    value = f"{secrets.token_hex()}{KINDS[kind]}"
    done = shell.run("create", "key", "--value-stdin", given=value.encode())
    shown = shell.run("show", "key", "--reveal")

    assert done.exit_code == shown.exit_code == 0
    assert (shown.stdout_bytes == value.encode()) is True
    assert (shell.adapter.get_key("key") == value) is True
    assert value not in done.output
    warned = "The value ends with a newline" in done.stderr
    assert warned == value.endswith(("\n", "\r"))


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "utf-16", "PYTHONUTF8": "0"},
    ],
    ids=["C", "utf-16"],
)
def test_a_program_in_another_locale_changes_no_byte(shell: Shell, locale: dict[str, str]) -> None:
    """In processes of their own, with pipes."""
    value = (secrets.token_hex() + "".join(KINDS.values())).encode()
    shell.environment = {**shell.environment, **locale}
    made = shell.process("create", "key", "--value-stdin", given=value)
    shown = shell.process("show", "key", "--reveal")

    assert (made.returncode, shown.returncode, shown.stderr) == (0, 0, b"")
    assert (shown.stdout == value) is True


@pytest.mark.parametrize("kind", ["letters", "newline", "newlines", "markup"])
def test_a_terminal_shows_what_it_can(kind: str) -> None:
    """With a newline after it, so that the prompt stands on a line of its own."""
    assert written(KINDS[kind], "utf-8", terminal=True) == KINDS[kind].encode() + b"\n"


@pytest.mark.parametrize("kind", ["CRLF", "CR", "BOM", "NUL", "escapes", "directions", "spaces"])
def test_a_terminal_is_spared_what_would_act_on_it(kind: str) -> None:
    """Nothing of the value is written; the error says to pipe it, and does not hold it."""
    with pytest.raises(ConfigError, match=SHOWS) as refused:
        written(KINDS[kind], "utf-8", terminal=True)
    assert "Pipe it" in str(refused.value)
    assert KINDS[kind] not in str(refused.value)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_terminal_of_another_encoding_gets_no_letters(encoding: str) -> None:
    """The bytes of many letters are control characters there; plain ASCII is fine."""
    with pytest.raises(ConfigError, match="this terminal's encoding can't show"):
        written("Û", encoding, terminal=True)
    assert written("plain", encoding, terminal=True) == b"plain\n"


def test_a_value_that_is_no_text_is_not_written() -> None:
    """A store that holds lone surrogates: nothing is written, and no error holds the value."""
    with pytest.raises(ConfigError, match="lone surrogates") as refused:
        written("\ud800" + secrets.token_hex())
    assert refused.value.__context__ is None


def test_no_more_is_read_than_a_value_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input without an end is refused after 25,001 bytes."""
    asked: list[int] = []

    class Endless(Bytes):
        """Gives as many bytes as it is asked for, and says how many those were."""

        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return b"x" * asked[-1]

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Endless()))
    with pytest.raises(ConfigError, match="more than 25000 bytes"):
        read_value("key")
    assert asked == [25_001]


def test_the_longest_value_passes() -> None:
    """25,000 bytes are a value."""
    assert len(read(b"x" * 25_000)) == 25_000


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_a_closed_stream_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Python has no stream where the shell closed it."""
    monkeypatch.setattr(sys, name, None)
    with pytest.raises(ConfigError, match="is closed"):
        read_value("key") if name == "stdin" else write_value("x", "key")


def test_a_full_disk_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that was written in part ends the command with an error."""
    out, value = Out("utf-8", terminal=False), secrets.token_hex()

    def full(_: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(out.written, "write", full, raising=False)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(DaenaKMSError, match="No space left") as failed:
        write_value(value, "key")
    assert value not in str(failed.value)


def test_json_is_ascii(shell: Shell) -> None:
    """Foreign text in JSON is escaped, so that no terminal and no locale meets it."""
    shell.create("key")
    store = shell.adapter.store
    store.tag(store.describe("key"), {"daena.note": "\x1b[2J\u202e\x7f\ud800"})
    result = shell.run("show", "key", "--json")

    assert result.stdout.isascii()
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert json.loads(result.stdout)["tags"]["daena.note"].startswith("\x1b")


def test_a_terminal_is_recognised(shell: Shell) -> None:
    """At a real one: a value that would clear it is refused, and a PEM is shown in whole."""
    for key, value in (("clears", "\x1b[2J"), ("pem", "-----BEGIN\nxyz\n-----END\n")):
        shell.run("create", key, "--value-stdin", given=value.encode())
    with shell.terminal("show", "clears", "--reveal") as refused:
        assert refused.end() == 2
    with shell.terminal("show", "pem", "--reveal") as shown:
        assert shown.end() == 0
    assert "\x1b[2J" not in refused.shown
    assert SHOWS in " ".join(refused.shown.split())
    assert shown.shown == "-----BEGIN\r\nxyz\r\n-----END\r\n\r\n"
