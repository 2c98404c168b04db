"""policy show and policy set: what each prints, changes and refuses."""

import json

import pytest

from tests.unit.cli.shell import Shell

WEAK = "password:length=12:classes=digit"


def tags(shell: Shell, key_id: str = "app-token") -> dict[str, str]:
    """Return a key's tags but the one that enrols it."""
    found = dict(shell.adapter.store.describe(key_id).tags)
    assert found.pop("daena.managed") == "true"
    return found


def test_a_policy_is_shown_with_where_it_comes_from(shell: Shell) -> None:
    """Each field, the bits, when the key is due, and what becomes of the version before."""
    shell.create("app-token", spec="token", rotate_after="30d", destroy_after="1h")
    shell.adapter.rotate_key("app-token")
    shell.environment = {**shell.environment, "DAENA_KMS_GRACE": "5d"}
    result = shell.run("policy", "show", "app-token")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:8] == [
        "key app-token",
        "field value from",
        "spec token tag daena.spec",
        "rotate-after 30d tag daena.rotate-after",
        "grace 5d setting DAENA_KMS_GRACE",
        "destroy-after 1h tag daena.destroy-after",
        "keep 2 default",
        "first-due none default",
    ]
    assert lines[8] == (
        "a fresh value has 256 bits of entropy; the least is 112 (DAENA_KMS_MIN_BITS)"
    )
    assert lines[9].startswith("next due: 20")
    assert lines[10].startswith("oldest previous version daena-")
    why = "7d after it was superseded, which only DAENA_KMS_DESTROY_AFTER can shorten"
    assert lines[10].endswith(f"at the earliest: {why}")


def test_policies_are_shown_to_machines(shell: Shell) -> None:
    """All keys that were named, each once, in their order."""
    shell.create("b-key")
    shell.create("a-key", spec="token", hold="true")
    document = shell.json("policy", "show", "b-key", "a-key", "b-key")
    assert [policy["key"] for policy in document["policies"]] == ["b-key", "a-key"]
    assert [policy["hold"] for policy in document["policies"]] == ["false", "true"]
    assert "on hold until released" in shell.run("policy", "show", "a-key").stdout


def test_a_policy_that_is_refused_is_shown_with_its_tags(shell: Shell) -> None:
    """With the reason, and with what its tags say; control characters don't reach the terminal."""
    shell.create("app-token", spec="token")
    shell.adapter.store.tag(
        shell.adapter.store.describe("app-token"),
        {"daena.spec": WEAK, "daena.first-due": "\x1b[2J"},
    )
    result = shell.run("policy", "show", "app-token")
    assert result.exit_code == 0
    assert "39.9 bits of entropy" in result.stderr
    assert f"daena.spec = {WEAK}" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_a_policy_is_set(shell: Shell) -> None:
    """The sentence says from what to what, and the log has the reason."""
    shell.create("app-token", spec="token", grace="3d")
    result = shell.run(
        *("policy", "set", "app-token", "--rotate-after", "30d", "--unset", "grace"),
        *("--keep", "4", "--reason", "a new rule", "--yes"),
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "Changed the policy of app-token: rotate-after 90d -> 30d, grace 3d -> 7d, keep 2 -> 4.\n"
    )
    assert tags(shell) == {"daena.spec": "token", "daena.rotate-after": "30d", "daena.keep": "4"}
    entry = shell.json("audit", "log")["entries"][-1]
    assert (entry["kind"], entry["result"], entry["reason"]) == ("policy", "done", "a new rule")
    assert entry["message"] == "rotate-after 90d -> 30d, grace 3d -> 7d, keep 2 -> 4"
    assert shell.json("audit", "verify")["notes"] == []


@pytest.mark.parametrize(
    ("option", "text", "tag"),
    [
        ("--spec", "password:length=40", "daena.spec"),
        ("--rotate-after", "12h", "daena.rotate-after"),
        ("--grace", "48h", "daena.grace"),
        ("--destroy-after", "30d", "daena.destroy-after"),
        ("--keep", "9", "daena.keep"),
        ("--first-due", "2027-01-01T00:00:00Z", "daena.first-due"),
    ],
)
def test_each_option_sets_its_tag_and_unset_removes_it(
    shell: Shell, option: str, text: str, tag: str
) -> None:
    """By the same name; the spec alone can't be removed."""
    shell.create("app-token", spec="token")
    done = shell.json("policy", "set", "app-token", option, text)
    assert tags(shell) == {"daena.spec": "token", tag: text}
    assert done["policies"][0]["changed"] == [option.removeprefix("--").replace("-", "_")]
    result = shell.run("policy", "set", "app-token", "--unset", option.removeprefix("--"))
    if tag == "daena.spec":
        assert (result.exit_code, tags(shell)) == (2, {tag: text})
    else:
        assert (result.exit_code, tags(shell)) == (0, {"daena.spec": "token"})


def test_what_is_there_already_is_said(shell: Shell) -> None:
    """Nothing is written."""
    shell.create("app-token", spec="token", grace="48h")
    result = shell.run("policy", "set", "app-token", "--grace", "48h")
    assert result.stdout == "app-token has this policy already.\n"
    assert len(shell.json("audit", "log")["entries"]) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "no change of the policy was given"),
        (("--unset", "gracee"), "'gracee' is not a field of a policy"),
        (("--unset", "hold"), "'hold' is not a field of a policy"),
        (("--unset", "managed"), "'managed' is not a field of a policy"),
        (("--unset", "spec"), "daena.spec can't be removed: every key has a spec"),
        (("--grace", "48h", "--unset", "grace"), "grace is both set and unset"),
        (("--spec", WEAK), "39.9 bits of entropy"),
        (("--grace", "1h"), "daena.grace is 1h"),
        (("--destroy-after", "9d", "--grace", "never"), "but grace is never"),
        (("--keep", "1"), "daena.keep is '1'"),
        (("--first-due", "tomorrow"), "daena.first-due is 'tomorrow'"),
    ],
)
def test_bad_usage_changes_nothing(shell: Shell, arguments: tuple[str, ...], what: str) -> None:
    """It ends with 2 and says what is wrong."""
    shell.create("app-token", spec="token")
    result = shell.run("policy", "set", "app-token", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert what in result.stderr
    assert tags(shell) == {"daena.spec": "token"}


def test_one_key_that_fails_does_not_stop_the_others(shell: Shell) -> None:
    """The error names it, and the command ends with 1."""
    shell.create("a-token", "b-token", spec="token")
    shell.unmanaged("theirs", "x" * 43)
    names = ("a-token", "theirs", "none", "b-token")
    document = shell.json("policy", "set", *names, "--keep", "3", status=1)
    assert [done["key"] for done in document["policies"]] == ["a-token", "b-token"]
    assert [(e["key"], e["error"]) for e in document["errors"]] == [
        ("theirs", "not-managed"),
        ("none", "key-not-found"),
    ]
    result = shell.run("policy", "set", *names, "--keep", "4")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("command", ["show", "set"])
def test_a_single_key_that_fails_is_an_error(shell: Shell, command: str) -> None:
    """As for every other command."""
    shell.unmanaged("theirs", "x" * 43)
    more = ("--keep", "3") if command == "set" else ()
    document = shell.json("policy", command, "theirs", *more, status=1)
    assert document["error"]["error"] == "not-managed"


@pytest.mark.parametrize("command", ["plan", "create new", "policy show app-token"])
@pytest.mark.parametrize("text", ["0", "x", "1.5", "513"])
def test_a_malformed_minimum_is_bad_usage(shell: Shell, command: str, text: str) -> None:
    """By every command that goes by a policy."""
    shell.environment = {**shell.environment, "DAENA_KMS_MIN_BITS": text}
    result = shell.run(*command.split())
    assert result.exit_code == 2
    assert f"DAENA_KMS_MIN_BITS is {text!r}" in result.stderr


def test_a_key_below_the_minimum_is_failing(shell: Shell) -> None:
    """In the plan, for the doctor and in a run, by the name of the setting that decides."""
    shell.create("app-token", days=91, spec="token")
    shell.adapter.store.tag(shell.adapter.store.describe("app-token"), {"daena.spec": WEAK})
    (action,) = shell.json("plan")["actions"]
    assert action["kind"] == "failing"
    doctor = shell.run("doctor", "--json")
    run = shell.run("rotate", "--json")
    for text in (action["why"], doctor.stdout, run.stdout):
        for words in ("39.9 bits", "DAENA_KMS_MIN_BITS asks for 112", "length=34:classes=digit"):
            assert words in text
    assert (doctor.exit_code, run.exit_code) == (1, 1)
    assert json.loads(run.stdout)["new_versions"] == {}
