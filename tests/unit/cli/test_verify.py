"""``audit verify``: what it finds wrong, what it only notes, and its exit status."""

import shutil

from tests.unit.cli.shell import Shell


def test_verify_finds_tampering(shell: Shell) -> None:
    """One word changed in one object: exit status 1, and the object is named."""
    shell.create("key")
    assert shell.json("rotate", "key")["ok"] is True
    assert shell.run("audit", "verify").exit_code == 0
    victim = min((shell.folder / "audit").rglob("000001.json"))
    victim.write_text(victim.read_text().replace("operator", "nobody"))

    result, document = shell.run("audit", "verify"), shell.json("audit", "verify", status=1)

    name = victim.relative_to(shell.folder / "audit").as_posix()
    assert result.exit_code == 1
    assert f"{name} " in result.stdout
    assert "something is wrong" in result.stdout
    assert {problem["object"] for problem in document["problems"]} == {name}


def test_verify_finds_what_others_made(shell: Shell) -> None:
    """A version that no record knows is out-of-band, unless only the log is looked at."""
    shell.create("key")
    shell.adapter.rotate_key("key")

    result, document = shell.run("audit", "verify"), shell.json("audit", "verify", status=1)

    assert result.exit_code == 1
    assert sorted(v["status"] for v in document["versions"]) == ["confirmed", "out-of-band"]
    assert "out-of-band" in result.stdout
    assert shell.json("audit", "verify", "--log-only")["ok"] is True


def test_verify_since_a_record_kept_elsewhere(shell: Shell) -> None:
    """With it, cutting off the log's newest end is found; without it, it can't be."""
    shell.create("first-key")
    shell.create("key")
    newest = shell.json("audit", "verify")["newest"]
    line = shell.run("audit", "verify", "--log-only").stdout.splitlines()[-1]
    assert line == f"Keep this elsewhere, for --since: {newest}"
    assert shell.json("audit", "verify", "--since", newest)["ok"] is True
    shutil.rmtree((shell.folder / "audit" / newest.partition("@")[0]).parent)

    assert shell.json("audit", "verify", "--log-only")["ok"] is True
    report = shell.json("audit", "verify", "--log-only", "--since", newest, status=1)
    assert [problem["object"] for problem in report["problems"]] == [newest.partition("@")[0]]


def test_verify_notes_an_interrupted_run(shell: Shell) -> None:
    """A run with no closing record is told of, and is nothing wrong by itself."""
    shell.create("key")
    closing = next((shell.folder / "audit").rglob("999999.json"))
    closing.unlink()

    result = shell.run("audit", "verify")

    assert result.exit_code == 0
    assert "has no closing record" in result.stdout
