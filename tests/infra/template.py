"""The SAM template as data, and the copy of it that a local AWS can take."""

import functools
import re
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # it has no types

from tests.infra.built import DIST, ROOT

PATH = ROOT / "infra" / "sam" / "template.yaml"
#: What ministack evaluates differently from AWS. It has no TLS here, and its conditions of S3
#: (ministack/core/iam_actions.py, s3_service_context) know no ``s3:if-none-match``, so that both
#: statements would deny everything. They stay covered by the tests of the template as data.
NOT_HERE = ("TlsOnly", "CreateIfAbsentOnly")


@functools.cache
def load() -> dict[str, Any]:
    """Return the template, with CloudFormation's short forms as the long ones. Change nothing."""
    document: dict[str, Any] = yaml_parse(PATH.read_text())
    return document


def resources(kind: str) -> dict[str, Any]:
    """Return the properties of all resources of a type, by their names."""
    found = load()["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == kind}


def statements(name: str) -> list[dict[str, Any]]:
    """Return the statements of a resource's policy document."""
    listed: list[dict[str, Any]] = load()["Resources"][name]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    return listed


def for_this_machine() -> str:
    """Return the template with this machine's package, and without what a local AWS can't tell.

    Of its resources, the queue's policy is left out, which consists of one such statement.
    """
    text = PATH.read_text()
    text = text.replace(
        "../../dist/aws/daena-kms-arm64.zip", str(DIST / "aws" / "daena-kms-x86_64.zip")
    )
    text = re.sub(r"(?ms)^  DeadLettersPolicy:\n.*?(?=^  \w)", "", text)
    for sid in NOT_HERE:
        text = re.sub(rf"(?ms)^ {{10}}- Sid: {sid}\n.*?(?=^ {{2,10}}[\w#-])", "", text)
    assert not any(sid in text for sid in NOT_HERE)
    return text
