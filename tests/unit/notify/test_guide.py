"""The guide says what is sent, with the bounds that hold."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from cloudevents.http import from_http
from daena_kms.audit.records import Context
from daena_kms.notify import LEAST, TOTAL, check_endpoint
from daena_kms.notify.delivery import ATTEMPT, ATTEMPTS
from daena_kms.notify.endpoint import ALLOW, SECRET, URL
from daena_kms.notify.events import MAX_EVENTS, TYPES, of_run
from daena_kms.notify.guard import METADATA_NAMES
from daena_kms.notify.webhook import CONTENT_TYPE
from daena_kms.notify.wire import MAX_ANSWER, MAX_BODY
from daena_kms.rules.summary import Summary

from tests.unit.keys import NOW
from tests.unit.notify.guide import TEXT, block
from tests.unit.notify.receiver import settings


def first_column(heading: str) -> list[str]:
    """The words in code at the beginning of each row of a section's table."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)


def test_every_type_and_every_setting_is_there() -> None:
    """Neither one more nor one less."""
    assert tuple(first_column("What is sent")) == TYPES
    assert first_column("Configuration") == [URL, SECRET, ALLOW]


def test_the_command_makes_a_secret() -> None:
    """One that is taken, and another each time."""
    program, *words = shlex.split(block("sh"))
    assert program == "python3"
    made = [
        subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert made[0] != made[1]
    check_endpoint(settings("".join(made)))


def test_the_example_is_an_event_of_ours() -> None:
    """With the attributes and the data that one has."""
    shown = json.loads(block("json"))
    summary = Summary("r", NOW, rotated=["app-key"], new_versions={"app-key": "v"})
    [event] = of_run(summary, Context("aws", "schedule", "p", None))
    sent = json.loads(event.encode())
    assert shown.keys() == sent.keys()
    assert shown["data"].keys() == sent["data"].keys()
    assert from_http({"content-type": CONTENT_TYPE}, block("json"))["subject"] == "app-key"


@pytest.mark.parametrize(
    "words",
    [
        CONTENT_TYPE,
        f"over {MAX_EVENTS} events",
        f"at most {ATTEMPT:.0f} seconds",
        f"together at most {TOTAL:.0f}",
        f"at least {LEAST:.0f}",
        f"At most {MAX_BODY:,} bytes",
        f"at most {MAX_ANSWER:,} of an answer",
        *sorted(METADATA_NAMES - {"instance-data.ec2.internal"}),
    ],
)
def test_the_bounds_are_those_of_the_code(words: str) -> None:
    """Word for word."""
    assert words in TEXT


def test_the_number_of_tries_is_that_of_the_code() -> None:
    """In words."""
    assert {4: "up to four times in all"}[ATTEMPTS] in TEXT
