"""The template deployed with sam, with the built package, on a local AWS that enforces IAM."""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.session import Session
from daena_kms.cloud_kms import AWSKMSAdapter

from infra.local.aws.ministack import REGION, LocalAws
from tests.infra.built import ROOT, path
from tests.infra.template import for_this_machine
from tests.worlds.aws import make_older

STACK = "daena"


@dataclass
class Stack:
    """What was deployed, and means to look at it as the account's root."""

    aws: LocalAws
    outputs: dict[str, str]
    adapter: AWSKMSAdapter

    @property
    def bucket(self) -> str:
        """The bucket of the audit log."""
        return urlsplit(self.outputs["AuditUrl"]).netloc

    def create_due(self, key_id: str) -> str:
        """Create a key that is due, and return its value."""
        self.adapter.create_key(key_id)
        make_older(self.adapter, key_id, 91)
        return self.adapter.get_key(key_id)

    def role(self, function: str) -> dict[str, str]:
        """Return credentials of a function's role."""
        deployed = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        assumed = self.aws.client("sts").assume_role(
            RoleArn=deployed["Role"], RoleSessionName="somebody"
        )["Credentials"]
        return {
            "aws_access_key_id": assumed["AccessKeyId"],
            "aws_secret_access_key": assumed["SecretAccessKey"],
            "aws_session_token": assumed["SessionToken"],
        }

    def user(self, name: str, *policies: str) -> Credentials:
        """Make a user with these policies, and return the credentials."""
        iam = self.aws.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def ask(self, route: str, credentials: Credentials | None) -> int:
        """Return the status of the function URL's answer to a request, signed or not."""
        host = urlsplit(self.outputs["HttpUrl"]).hostname or ""
        # The URL that AWS would give ends in on.aws; locally the same id is a path.
        url = f"{self.aws.url}/_aws/lambda-url/{host.partition('.')[0]}{route}"
        request = AWSRequest("GET", url)
        if credentials is not None:
            SigV4Auth(credentials, "lambda", REGION).add_auth(request)
        asked = urllib.request.Request(url, headers=dict(request.headers))
        try:
            with urllib.request.urlopen(asked) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code


@contextmanager
def deployed(folder: Path) -> Iterator[Stack]:
    """Deploy the template with the built package, by sam."""
    path("aws/daena-kms-x86_64.zip")
    (folder / "template.yaml").write_text(for_this_machine())
    with LocalAws(enforce_iam=True) as aws, pytest.MonkeyPatch.context() as patch:
        deploy(folder, aws)
        described = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
        for name, text in aws.environment.items():
            patch.setenv(name, text)
        adapter = AWSKMSAdapter(
            REGION,
            outputs["KmsKeyArn"],
            secrets_client=aws.client("secretsmanager"),
            kms_client=aws.client("kms"),
        )
        yield Stack(aws, outputs, adapter)


def deploy(folder: Path, aws: LocalAws) -> None:
    """Run sam deploy, as docs and people do."""
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(folder), "SAM_CLI_TELEMETRY": "0"}
    command = [str(ROOT / ".infra" / "bin" / "sam"), "deploy", "--stack-name", STACK]
    command += [
        "--resolve-s3",
        "--template-file",
        "template.yaml",
        "--capabilities",
        "CAPABILITY_IAM",
    ]
    command += ["--no-confirm-changeset", "--no-progressbar", "--parameter-overrides"]
    parameters = ["Architecture=x86_64", 'ScheduleExpression="rate(1 minute)"']
    done = subprocess.run(
        [*command, *parameters, "AllowChangesOverHttp=true"],
        cwd=folder,
        env={**surroundings, **aws.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:] + aws.log()[-1000:]


def refused(call: Callable[[], object]) -> bool:
    """Whether IAM refuses a call."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in {"AccessDenied", "AccessDeniedException"}, code
        return True
    return False


def client(stack: Stack, service: str, credentials: dict[str, str]) -> Any:
    """Return a client of a role."""
    session: Any = Session()  # its stubs know each argument, and not a dictionary of them
    return session.create_client(
        service, endpoint_url=stack.aws.url, region_name=REGION, **credentials
    )
