"""The guides say what the code does: tags, settings, errors, permissions, metrics."""

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daena_kms.audit.records import CLOSING, INTENT, OUTCOME, RECOVERY
from daena_kms.objects.azure import azure_objects
from daena_kms.objects.s3 import s3_objects
from daena_kms.rules.durations import format_duration
from daena_kms.rules.plan import Kind
from daena_kms.rules.policy import TAGS, Defaults
from daena_kms.rules.specs import CLASSES, MAX_LENGTH, MIN_LENGTH, NAMES
from daena_kms.rules.summary import Summary
from daena_kms.stores.aws.store import AWSStore
from daena_kms.stores.azure.store import AzureStore
from daena_kms.stores.local.store import LocalStore

ROOT = Path(__file__).parents[3]
TEXTS = {
    path.name: path.read_text() for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md")
}
#: What an environment variable of ours, or of a cloud's, looks like.
VARIABLE = re.compile(r"\b(?:DAENA|AWS|AZURE|GCP|GOOGLE)_[A-Z_]+[A-Z]\b")
#: What looks like one and is the AWS SDK's own, or a function URL's kind of authentication.
NOT_OURS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_IAM"}
#: What the workflow that deploys reads of an environment of GitHub's.
WORKFLOW = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
OF_GITHUB = set(re.findall(r"\bvars\.([A-Z_]+)", WORKFLOW))


def section(name: str, heading: str) -> str:
    """A section of a document, without its heading."""
    return re.split(r"^## ", TEXTS[name].split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def table(text: str) -> dict[str, list[str]]:
    """The first table in a text: its first column, and the cells beside it."""
    rows = re.search(r"^\|[-| ]+\|\n((?:\|.*\|\n?)+)", text, flags=re.MULTILINE)
    assert rows is not None
    cells = [row.strip("|").split(" | ") for row in rows[1].splitlines()]
    return {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in cells}


def actions(text: str) -> set[str]:
    """The AWS actions in a text; one without a service's name is of the service before it."""
    found: set[str] = set()
    service = ""
    for prefix, name in re.findall(r"`(?:([a-z0-9]+):)?([A-Z][A-Za-z]+[a-z])`", text):
        service = prefix or service
        found.add(f"{service}:{name}")
    return found


def test_every_tag_is_in_the_table() -> None:
    """Neither one more nor one less."""
    assert tuple(table(TEXTS["POLICY.md"])) == TAGS


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    """Intervals, and how many versions each store can be asked to keep."""
    rows, built_in = table(TEXTS["POLICY.md"]), Defaults()

    assert rows["daena.rotate-after"][1] == f"`{format_duration(built_in.rotate_after)}`"
    assert rows["daena.grace"][1].startswith(f"`{format_duration(built_in.grace)}` for `password`")
    assert rows["daena.destroy-after"][1] == f"`{format_duration(built_in.destroy_after)}`"
    most = f"2 to {LocalStore.can.max_keep} (AWS: {AWSStore.can.max_keep})"
    assert rows["daena.keep"][0] == most


def test_every_spec_is_in_the_table() -> None:
    """With the classes and the lengths of passwords."""
    text = section("POLICY.md", "Specs")
    named = {word for first in table(text) for word in re.split(r"`?, `?", first)}

    assert named == set(NAMES)
    assert f"is {MIN_LENGTH} to {MAX_LENGTH}" in text
    assert ", ".join(CLASSES).replace(", symbol", " and symbol") in text


def test_every_kind_of_action_is_in_the_table() -> None:
    """What a plan can say."""
    assert set(table(section("POLICY.md", "What a plan says"))) == set(Kind)


def test_every_type_of_record_is_in_the_table() -> None:
    """What the log consists of."""
    types = {INTENT, OUTCOME, RECOVERY, CLOSING}
    assert set(table(section("AUDIT.md", "Objects"))) == types


class Asked(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@functools.cache
def read_by_the_code() -> set[str]:
    """Every variable that the code reads by its name, or asks an environment for.

    Those of the SDKs are among them: the clouds on this machine set them.
    """
    asked = Asked()
    Defaults.from_environment(asked)
    sources = [
        p
        for folder in ("core", "functions_aws", "functions_azure", "functions_gcp", "infra")
        for p in (ROOT / folder).rglob("*.py")
    ]
    constants = {
        node.value.strip("%")  # as a binding's setting is written
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return asked.names | {text for text in constants if VARIABLE.fullmatch(text)}


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_in_a_document_is_read(name: str) -> None:
    """A setting that is documented has an effect."""
    assert set(VARIABLE.findall(TEXTS[name])) - read_by_the_code() - NOT_OURS - OF_GITHUB == set()


def test_every_setting_of_ours_is_documented() -> None:
    """A setting that has an effect is in a guide or in the README."""
    ours = {name for name in read_by_the_code() if name.startswith("DAENA_")}
    documented = {found for text in TEXTS.values() for found in VARIABLE.findall(text)}

    assert ours - documented == set()


def test_the_permissions_are_those_of_the_code() -> None:
    """The guide and the docstrings of store and log list the same actions."""
    listed = actions(section("AWS.md", "Permissions"))
    store, log = actions(_code(AWSStore.__doc__)), actions(_code(s3_objects.__doc__))

    assert len(store) == 16
    assert log == {"s3:PutObject", "s3:GetObject", "s3:ListBucket"}
    assert listed == store | log


def test_azure_s_permissions_are_those_of_the_code() -> None:
    """The guide and the docstrings of store and objects list the same data actions."""
    found = [_data_actions(text) for text in (AzureStore.__doc__, azure_objects.__doc__)]

    assert len(found[0]) == 6
    assert {action.rpartition("blobs/")[2] for action in found[1]} == {"read", "add/action"}
    assert _data_actions(section("AZURE.md", "Permissions")) == found[0] | found[1]


def _data_actions(text: str | None) -> set[str]:
    return set(re.findall(r"Microsoft\.[A-Z][A-Za-z]+/[a-zA-Z/]+", text or ""))


def _code(text: str | None) -> str:
    """A docstring with code marked as in a document."""
    assert text is not None
    return text.replace("``", "`")


def test_every_metric_is_documented() -> None:
    """The guide names what the function counts; the destroyed are the released there."""
    counted = {*Summary(None, datetime.now(UTC)).counts(), "duration"}
    named = re.search(r"Metrics are in the namespace `daena-kms`: (.*)\.", TEXTS["AWS.md"])

    assert named is not None
    assert set(re.findall(r"`([a-z]+)`", named[1])) == counted - {"destroyed"}
    named = re.search(r"the metrics (.*) \(seconds\)", TEXTS["AZURE.md"])

    assert named is not None
    assert set(re.findall(r"`(?:daena_kms\.)?([a-z]+)`", named[1])) == counted
