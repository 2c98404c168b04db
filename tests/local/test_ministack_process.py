"""How the local AWS starts and ends, beyond what holds for every child process."""

import json
import secrets
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from daena_kms.errors import ConfigError, StoreUnavailable

from infra.local.aws import ministack_process
from infra.local.aws.ministack import REGION, LocalAws
from infra.local.process import free_port
from tests.local.harness import small
from tests.worlds.waiting import eventually, gone

pytestmark = pytest.mark.xdist_group("local-aws")


def test_reset_forgets_everything() -> None:
    """After a reset no secret and no function is there."""
    with LocalAws() as aws:
        aws.client("secretsmanager").create_secret(Name="old", SecretString=secrets.token_hex())
        small(aws, "old")

        aws.reset()

        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
        assert aws.client("lambda").list_functions()["Functions"] == []


def test_iam_is_enforced_where_asked_for() -> None:
    """A user without a policy is refused, with one is served."""
    with LocalAws(enforce_iam=True) as aws:
        iam = aws.client("iam")
        iam.create_user(UserName="reader")
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        statement = {"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"}
        url = f"{aws.url}/"
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.ListSecrets",
        }
        signed = AWSRequest("POST", url, headers, b"{}")
        user = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        SigV4Auth(user, "secretsmanager", REGION).add_auth(signed)
        request = urllib.request.Request(url, b"{}", dict(signed.headers))

        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        refused.value.close()
        iam.put_user_policy(
            UserName="reader",
            PolicyName="list",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        with urllib.request.urlopen(request) as answer:
            listed = json.load(answer)

    assert refused.value.code in {400, 403}
    assert listed == {"SecretList": []}


def test_stopping_ends_running_functions_and_removes_the_folder(tmp_path: Path) -> None:
    """Neither a process nor a file is left, even of a function in the middle of its work."""
    mark = tmp_path / "pid"
    with LocalAws() as aws:
        small(aws, "busy")
        event = json.dumps({"mark": str(mark)})
        aws.client("lambda").invoke(FunctionName="busy", InvocationType="Event", Payload=event)
        assert eventually(lambda: mark.exists() and mark.read_text() != "")
        function, server, folder = int(mark.read_text()), aws.pid, aws.folder

    assert gone(server)
    # An orphan is collected by the system's first process, not by us.
    assert eventually(lambda: gone(function))
    assert not folder.exists()


def test_without_ministack_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person reads the package's name and how to get it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=r"ministack.*--group dev"):
        LocalAws().start()


def test_a_port_that_another_process_took_is_passed_over(
    local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever answers on the port, only our own child is taken for the local AWS."""
    taken = int(local_aws.url.rpartition(":")[2])
    ports = iter([taken, free_port()])
    monkeypatch.setattr("infra.local.aws.ministack.free_port", lambda: next(ports))

    with LocalAws() as other:
        assert other.url != local_aws.url


def test_no_free_port_is_reported(
    local_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every attempt meets a stranger the error says so and nothing is left."""
    taken = int(local_aws.url.rpartition(":")[2])
    monkeypatch.setattr("infra.local.aws.ministack.free_port", lambda: taken)
    monkeypatch.setattr("infra.local.process._ATTEMPTS", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(StoreUnavailable, match="2 times"):
        LocalAws().start()

    assert list(tmp_path.iterdir()) == []


def test_the_process_runs_ministack_with_the_interpreter_for_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's program sets the interpreter and runs ministack."""
    ran: list[tuple[str, str, list[str]]] = []
    monkeypatch.setattr(sys, "executable", sys.executable)
    monkeypatch.setattr(sys, "argv", ["program", "argument"])
    monkeypatch.setattr(
        "runpy.run_module",
        lambda name, run_name: ran.append((name, run_name, [sys.executable, *sys.argv])),
    )

    ministack_process.main(str(tmp_path / "python"))

    assert ran == [("ministack", "__main__", [str(tmp_path / "python"), "ministack"])]
