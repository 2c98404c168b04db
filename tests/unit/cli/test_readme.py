"""What README.md tells a newcomer to type works as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from daena_kms.cloud_kms import AWSKMSAdapter

from infra.local.aws.sim import ACCESS_KEY, REGION, AwsSimulator, clients
from tests.unit.cli.shell import PROGRAM

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def block(heading: str, language: str) -> str:
    """The first block of code below a heading."""
    section = README[README.index(f"\n## {heading}\n") :]
    found = re.search(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_twenty_lines_run_as_printed(tmp_path: Path) -> None:
    """In a shell, in an empty home, each command ends well and prints something."""
    lines = [
        line.removeprefix("$ ")
        for line in block("Twenty lines on your own machine", "console").splitlines()
        if not line.startswith("$ pip ")
    ]
    commands = [line for line in lines if line.startswith("daena-kms ")]
    script = "\n".join(f"{line} && echo '<end>' || exit" for line in lines)
    path = os.pathsep.join((str(PROGRAM.parent), os.environ["PATH"]))

    done = subprocess.run(
        ["/bin/bash", "-c", script],
        env={"HOME": str(tmp_path), "PATH": path, "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("<end>\n")[len(lines) - len(commands) : -1]
    assert len(answers) == len(commands) == 9
    assert all(answer.strip() for answer in answers)
    assert "left in a build log" in answers[-3]
    assert "nothing is wrong" in answers[-2]
    assert "create if absent" in answers[-1]
    assert {path.name for path in (tmp_path / ".daena").iterdir()} >= {"audit", "keys.db"}


def test_the_python_example_runs_as_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a simulated AWS that has the bucket and the key of the example."""
    example = block("In Python", "python")
    bucket = re.search(r"s3://([a-z-]+)/", example)
    key_id = re.search(r'get_key\("([a-z-]+)"\)', example)
    assert bucket is not None
    assert key_id is not None
    with AwsSimulator(buckets=(bucket[1],)) as sim:
        made = clients(sim.url)
        environment = {
            "AWS_ENDPOINT_URL": sim.url,
            "AWS_REGION": REGION,
            "AWS_KMS_KEY_ID": made.kms.create_key()["KeyMetadata"]["KeyId"],
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        adapter = AWSKMSAdapter(secrets_client=made.secrets, kms_client=made.kms)
        value = adapter.create_key(key_id[1])
        names: dict[str, object] = {}

        exec(compile(example, "README.md", "exec"), names)

        made.secrets.close()
        made.kms.close()
    assert names["key"] == value
    assert re.fullmatch(rf"{key_id[1]} nothing next due in 8\d d, .*\n", capsys.readouterr().out)


def test_the_console_blocks_show_commands_that_exist() -> None:
    """Every `daena-kms …` in the documents is a command with the options that it is shown with."""
    texts = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
    code = [part for text in texts for part in re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)]
    shown = {line for part in code for line in re.findall(r"daena-kms ([a-z-][^`\n]*)", part)}
    assert len(shown) >= 9
    program = """
import shlex, sys
from typer.main import get_command
from daena_kms.cli.app import app
for line in sys.stdin.read().splitlines():
    words, found = shlex.split(line), get_command(app)
    while words and hasattr(found, "commands"):
        found = found.commands[words.pop(0)]
    known = {option for parameter in found.params for option in parameter.opts}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    print(*sorted(used - known - {"--help"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(sorted(shown)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
