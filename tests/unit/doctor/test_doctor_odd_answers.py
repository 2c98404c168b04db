"""Answers that are none: a proxy's page, half a document, another one. They prove nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daena_kms.audit import open_log
from daena_kms.cloud_kms import get_cloud_kms_adapter
from daena_kms.doctor import Check, Status
from daena_kms.doctor.check import guarded
from daena_kms.doctor.factory import exam_of, place_of
from daena_kms.doctor.portable import clock

from infra.local.http_server import Response
from tests.unit.doctor.worlds import KEY, Patient, answer_everything, patient

HTML = "text/html; charset=utf-8"
PAGE = b"<!DOCTYPE html><html><body><p>Please log in<br></body></html>"
#: A page that is well-formed XML as well.
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>'
JSON, XML = "application/json", "application/xml"
ODD = [
    *((PAGE, HTML), (XHTML, HTML), (b"", HTML), (b"", JSON), (b'{"half', JSON), (b"[]", JSON)),
    *((b'{"a": 1}', JSON), (b'{"error": {"code": 7}}', JSON), (XHTML, XML), (b"<half", XML)),
]
SENT = [*((200, *odd) for odd in ODD), (404, PAGE, HTML), (404, b'{"a": 1}', JSON)]


def looked_at(one: Patient) -> Iterator[Check]:
    """Let every check that asks the cloud look, each by itself."""
    exam = exam_of(get_cloud_kms_adapter(one.provider), one.now)
    place = place_of(open_log())
    looks: list[tuple[str, Callable[[], Any]]] = [
        ("permissions", lambda: exam.permissions([KEY])),
        ("no key", lambda: exam.permissions([])),
        ("clock", lambda: [clock(exam.clock())]),
        ("protection", lambda: place.protection(read=False)),
    ]
    if one.provider == "aws":  # on the others, nothing is asked
        looks += [("encryption", exam.encryption), ("credentials", exam.credentials)]
    if one.provider != "azure":
        looks.append(("infrastructure", exam.infrastructure))
    for name, look in looks:
        yield from guarded(name, look, Status.UNKNOWN)


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_nothing_is_ok_and_nothing_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    """Whatever every service answers beside the logins. A date in it sets no clock."""
    monkeypatch.setattr("daena_kms.sdk.aws.client._ATTEMPTS", 1)  # the SDK waits in between
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    with patient(cloud, tmp_path, monkeypatch) as one:
        for status, body, kind in SENT:
            headers = {"Content-Type": kind, "Date": "Sun, 01 Mar 2026 12:00:00 GMT"}
            with pytest.MonkeyPatch.context() as patch:
                answer_everything(one.sim, patch, Response(status, body, headers))
                found = list(looked_at(one))
            assert [c for c in found if c.status is not Status.UNKNOWN] == [], (status, body)
            assert all(check.todo for check in found)


def test_google_cloud(gcp: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked over HTTP: the project and the bucket. The secret itself is asked over gRPC."""
    for body, kind in ODD:
        answer = Response(200, body, {"Content-Type": kind})
        for service in (gcp.sim.projects, gcp.sim.policies):
            monkeypatch.setattr(service, "perform", lambda *_given, answer=answer: answer)
        found = {check.name: check for check in looked_at(gcp)}
        assert not [c for c in found.values() if c.status in {Status.WRONG, Status.WARNING}], body
        unknown = {name for name, check in found.items() if check.status is Status.UNKNOWN}
        assert unknown >= {
            *("permission storage.objects.*", "audit log: deletion protection"),
            "permission secretmanager.secrets.create",
        }, body
