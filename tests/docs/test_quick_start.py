"""Who reads only the guide's quick start gets to a first rotation, with the commands as printed."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, STORES, Place, as_json, commands, place, section

HEADINGS = {
    "local": "### Local: no account",
    "aws": "### AWS",
    "azure": "### Azure",
    "gcp": "### Google Cloud",
}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def printed(store: str) -> list[str]:
    """The quick start's commands for a store."""
    return commands(section(HEADINGS[store], section("## Quick start")))


def followed(where: Place, lines: list[str]) -> list[str]:
    """Type the commands into one shell, and return what each of ours answered."""
    typed = [line for line in lines if not line.startswith("pip ")]
    script = "\n".join(f"{line} && echo '<end>' || exit" for line in typed)
    done = where.run("/bin/bash", "-c", f"set -o pipefail\n{script}\nenv -0 > environment")
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("<end>\n")[:-1]
    assert len(answers) == len(typed)
    return [answer for line, answer in zip(typed, answers, strict=True) if "daena-kms " in line]


def exported(where: Place) -> Place:
    """The place with what the shell had exported in the end."""
    pairs = (where.home / "environment").read_bytes().rstrip(b"\0").split(b"\0")
    found = dict(os.fsdecode(pair).split("=", 1) for pair in pairs)
    return Place(where.home, found)


@pytest.mark.parametrize("store", STORES)
def test_the_commands_as_printed_lead_to_a_first_rotation(store: str, tmp_path: Path) -> None:
    """In an empty home each ends well, and afterwards the key has two versions and a clean log."""
    with place(store, tmp_path) as where:
        created, _, rotated, shown, verified = followed(where, printed(store))[-5:]
        after = exported(where)
        document = as_json(after.run("daena-kms", "show", "app-token", "--json").stdout)
        log = as_json(after.run("daena-kms", "audit", "log", "--json").stdout)

    assert "Created app-token" in created
    assert "rotated" in rotated
    assert "current" in shown
    assert "previous" in shown
    assert "nothing is wrong" in verified
    versions = document["versions"]
    assert isinstance(versions, list)
    assert sorted(version["state"] for version in versions) == ["current", "previous"]
    entries = log["entries"]
    assert isinstance(entries, list)
    assert [(e["kind"], e["result"]) for e in entries] == [("create", "done"), ("rotate", "done")]


@pytest.mark.parametrize("store", STORES)
def test_every_store_s_way_ends_alike(store: str) -> None:
    """What differs is the set-up alone; the install asks for an extra that there is."""
    lines = printed(store)
    assert lines[-5:] == printed("local")[-5:]
    extra = re.fullmatch(r"pip install (?:\.|'\.\[([a-z]+)\]')", lines[0])
    assert extra is not None
    assert extra[1] in {None, *EXTRAS}


@pytest.mark.parametrize("store", ["aws", "azure", "gcp"])
def test_what_the_log_and_the_claims_need_is_made(store: str) -> None:
    """The bucket or the containers that the settings lead to: the stand-ins have them already."""
    lines = "\n".join(printed(store))
    made = set(re.findall(r"az storage container create .*--name (\S+)", lines))
    made |= set(re.findall(r"create-bucket --bucket (\S+)|buckets create gs://(\S+)", lines)[:1])
    places = {
        "aws": {("$BUCKET", "")},
        "azure": {"audit", "claims"},
        "gcp": {("", "$BUCKET")},
    }
    used = re.search(r"DAENA_KMS_AUDIT_URL=(?:s3|gs)://\$BUCKET/|az://\$ACCOUNT/audit", lines)
    assert made == places[store]
    assert used is not None


@pytest.mark.parametrize(
    "wrong",
    [
        "aws kms create-keys",
        "aws kms create-key --descriptions daena",
        "aws s3api create-bucket --bucket b --create-bucket-configuration Location=eu-central-1",
        "az keyvault make --name v",
        "gcloud storage buckets create gs://b --retention=400d",
    ],
)
def test_a_wrong_command_of_a_cloud_s_program_fails(wrong: str, tmp_path: Path) -> None:
    """What plays the clouds' programs does not take whatever it is told."""
    with place("aws", tmp_path) as where:
        settled = Place(where.home, {**where.environment, "AWS_REGION": "eu-central-1"})
        assert settled.run("/bin/bash", "-c", wrong).returncode != 0
