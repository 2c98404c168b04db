"""The commands that only look: list, show, audit log; what they tell people and machines."""

import json
import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from daena_kms.rules.model import VersionState
from daena_kms.rules.names import parse_version_id

from infra.local.aws.sim import ACCESS_KEY, BUCKET, REGION, AwsSimulator
from tests.unit.cli.shell import Shell


def test_a_plan_can_gate_a_release(shell: Shell) -> None:
    """A key that is due, or can't be handled, ends it with 1; one on hold or fresh does not."""
    shell.create("fresh-key")
    shell.create("held-key", days=91, hold="true")
    assert shell.run("plan", "--fail-if-overdue").exit_code == 0

    shell.create("due-key", days=91)
    shell.create("bad-key")
    store = shell.adapter.store
    store.tag(store.describe("bad-key"), {"daena.keep": "0"})
    gated = shell.run("plan", "--fail-if-overdue", "--json")

    assert gated.exit_code == 1
    assert gated.stderr.strip() == "Overdue: bad-key, due-key"
    assert len(json.loads(gated.stdout)["actions"]) == 4
    assert shell.run("plan").exit_code == 0


def test_list_shows_policies(shell: Shell) -> None:
    """A refused policy says why, in the key's own line; unmanaged keys are not there."""
    shell.create("good", rotate_after="30d")
    shell.create("bad")
    shell.adapter.store.tag(shell.adapter.store.describe("bad"), {"daena.grace": "soon"})
    shell.unmanaged("stranger", secrets.token_urlsafe())

    document, result = shell.json("list"), shell.run("list")

    assert [key["key"] for key in document["keys"]] == ["bad", "good"]
    lines = result.stdout.splitlines()
    assert re.match(r"bad +daena\.grace is 'soon', which is not a duration", lines[1])
    assert re.match(r"good +aes-256 +30d +never +under a minute ago +1", lines[2])


def test_show_tells_all_but_the_value(shell: Shell) -> None:
    """Tags and versions with their states and ages."""
    shell.create("key", days=40)
    assert shell.json("rotate", "key")["rotated"] == ["key"]

    document, result = shell.json("show", "key"), shell.run("show", "key")

    assert document["tags"] == {"daena.managed": "true", "daena.spec": "aes-256"}
    assert [v["state"] for v in document["versions"]] == ["current", "previous"]
    assert document["deleted"] is None
    for version in document["versions"]:
        assert parse_version_id(version["id"]) is not None
        assert version["id"] in result.stdout
    assert "daena.spec = aes-256" in result.stdout
    assert "40 d ago" in result.stdout


def test_show_tells_of_a_deleted_key(shell: Shell) -> None:
    """It is still described, and when it was deleted."""
    shell.create("key")
    shell.adapter.delete_key("key")

    assert shell.json("show", "key")["deleted"] is not None
    assert "deleted 20" in shell.run("show", "key").stdout


def test_reveal_prints_the_value_and_nothing_else(shell: Shell) -> None:
    """The current one, the previous one, or the one of an id."""
    shell.create("key")
    old = shell.adapter.get_key("key")
    new = shell.adapter.rotate_key("key")
    first = next(
        v.id
        for v in shell.adapter.store.describe("key").versions
        if v.state is VersionState.PREVIOUS
    )

    shown = [
        shell.run("show", "key", "--reveal", *version).stdout
        for version in ([], ["--version", "previous"], ["--version", first])
    ]

    assert shown == [new, old, old]


def test_audit_log_shows_who_what_and_why(shell: Shell) -> None:
    """All of it, one key's part, or from a time on."""
    shell.create("a", days=101)
    shell.create("b", days=100)
    shell.json("rotate", "a", "--reason", "left in a build log")

    entries = shell.json("audit", "log")["entries"]
    recent = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert [(e["key"], e["kind"]) for e in entries] == [
        ("a", "create"),
        ("b", "create"),
        ("a", "rotate"),
    ]
    assert {e["principal"] for e in entries} == {"operator"}
    assert [e["kind"] for e in shell.json("audit", "log", "--key", "a")["entries"]] == [
        "create",
        "rotate",
    ]
    assert [e["kind"] for e in shell.json("audit", "log", "--since", recent)["entries"]] == [
        "rotate"
    ]
    assert re.search(
        r"a +rotate +done +operator \(manual\) +left in a build log",
        shell.run("audit", "log").stdout,
    )


def test_json_is_one_document_in_one_form(shell: Shell) -> None:
    """Sorted and indented, so that two runs can be compared line by line."""
    shell.create("key")
    text = shell.run("show", "key", "--json").stdout

    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_on_aws_the_same_commands_say_what_that_store_can_not_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Create, plan, list and show work on Secrets Manager; show tells what retired means there."""
    with AwsSimulator() as sim:
        settings = {
            "DAENA_CLOUD_KMS_PROVIDER": "local",
            "DAENA_KMS_AUDIT_URL": f"s3://{BUCKET}/daena",
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        shell.environment = settings

        created = shell.json("create", "key", "--provider", "aws")
        shown = shell.run("show", "key", "--provider", "aws").stdout

        assert shell.json("plan", "--provider", "aws")["actions"][0]["key"] == "key"
        assert shell.json("list", "--provider", "aws")["keys"][0]["key"] == "key"
        assert created["version"] in shown
        assert "a retired version stays readable by its version id" in shown
        assert shell.json("audit", "verify", "--provider", "aws")["ok"] is True
