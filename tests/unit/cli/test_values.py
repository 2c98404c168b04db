"""A value is printed by ``show --reveal`` and by nothing else."""

import base64
import json
import secrets
from urllib.parse import quote

import pytest

from tests.unit.cli.shell import Shell

COMMANDS = [
    "plan",
    "list",
    "show canary",
    "show adopted",
    "rotate --dry-run",
    "rotate",
    "rotate canary adopted --reason why",
    "create canary",
    "adopt canary --spec token",
    "show canary --version previous",
    "audit log",
    "audit verify",
]


def forms(value: str) -> set[bytes]:
    """A value as it stands, and as base64, hexadecimal, URL and JSON would carry it."""
    raw = value.encode()
    return {
        raw,
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
        quote(value, safe="").encode(),
        json.dumps(value)[1:-1].encode(),
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_no_other_command_prints_a_value(shell: Shell, as_json: bool) -> None:
    """Neither on standard output nor on standard error, whatever else goes wrong."""
    canary = f'{secrets.token_urlsafe()} "ü/{secrets.token_hex()}'
    adopted = secrets.token_urlsafe()
    shell.unmanaged("adopted", adopted)
    said = shell.process("create", "canary", "--value-stdin", given=canary.encode())
    printed = said.stdout + said.stderr
    assert said.returncode == 0
    assert shell.adapter.get_key("canary") == canary
    said = shell.process("adopt", "adopted", "--spec", "token")
    printed += said.stdout + said.stderr
    assert said.returncode == 0
    shell.create("due", days=91)
    files = b"".join(path.read_bytes() for path in (shell.folder / "audit").rglob("*.json"))

    for command in COMMANDS:
        result = shell.run(*command.split(), *(["--json"] if as_json else []))
        printed += result.output.encode() + str(result.exception).encode()
    values = [
        shell.adapter.get_key(key.id, version.id)
        for key in shell.adapter.store.scan()
        for version in key.versions
    ]

    assert {canary, adopted} <= set(values)
    assert len(values) == 6
    files += b"".join(path.read_bytes() for path in (shell.folder / "audit").rglob("*.json"))
    leaked = [
        n for n, value in enumerate(values) if any(f in printed + files for f in forms(value))
    ]
    assert leaked == []


def test_a_refused_value_is_not_repeated(shell: Shell) -> None:
    """An error about a value tells its size or its kind, and not the value."""
    shell.create("key")
    bad = "{" + secrets.token_urlsafe()
    shell.unmanaged("json", bad + '": 1}')

    wrong = shell.run("create", "other", "--spec", "ed25519", "--value-stdin", given=bad)
    there = shell.run("create", "key", "--value-stdin", given=bad)
    adopted = shell.run("adopt", "json", "--spec", "token")

    assert [result.exit_code for result in (wrong, there, adopted)] == [2, 1, 2]
    assert bad not in wrong.output + there.output + adopted.output


def test_the_value_shows_in_json_by_no_option(shell: Shell) -> None:
    """With --json, show tells the same without --reveal as ever; with it, the value is all."""
    shell.create("key")
    value = shell.adapter.get_key("key")

    assert value not in shell.run("show", "key", "--json").output
    assert shell.run("show", "key", "--reveal", "--json").stdout == value
