"""What is packed for a Lambda function, and what is not."""

from pathlib import Path
from typing import Any

import pytest
from daena_kms.errors import ConfigError, StoreUnavailable

from infra.local.aws import lambda_functions
from infra.local.aws.lambda_functions import Function
from infra.packages import lambda_bundle


def test_a_bundle_leaves_out_what_functions_do_not_need(tmp_path: Path) -> None:
    """No command line, no demo, no other service's model, no test files; all of it compiled."""
    (tmp_path / "handler.py").write_text("import daena_kms.cloud_kms")
    lambda_bundle.build(tmp_path / "bundle", tmp_path / "handler.py", distributions=["botocore"])

    names = {path.name for path in (tmp_path / "bundle").iterdir()}
    models = tmp_path / "bundle" / "botocore" / "data"
    folders = {path.name for path in (tmp_path / "bundle").rglob("*") if path.is_dir()}
    assert {"handler.py", "daena_kms", "botocore", "urllib3", "jmespath", "six.py"} <= names
    assert names.isdisjoint({"bin", "rich", "typer", "boto3", "obstore", "cryptography"})
    kept = {path.name for path in models.iterdir() if path.is_dir()}
    assert kept == {"kms", "s3", "secretsmanager"}
    # Of S3, only the rules that say where a bucket is.
    rules = {path.name.partition(".")[0] for path in (models / "s3").rglob("*") if path.is_file()}
    assert rules == {"endpoint-rule-set-1"}
    assert (models / "endpoints.json").exists() or (models / "endpoints.json.gz").exists()
    assert folders.isdisjoint({"tests", "cli", "demo"})
    assert [
        path for path in (tmp_path / "bundle").rglob("*.py") if not _compiled(path).exists()
    ] == []


def _compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"


def test_a_distribution_that_is_not_installed_is_named() -> None:
    """The error says which package is missing and how to get it."""
    with pytest.raises(ConfigError, match="no-such-distribution"):
        lambda_bundle.closure(["botocore", "no-such-distribution"])


def test_the_closure_follows_requirements_but_not_extras() -> None:
    """What a distribution always needs is found; what its extras or other platforms need is not."""
    found = {d.name.lower() for d in lambda_bundle.closure(["aws_lambda.Powertools"])}

    assert found == {"aws_lambda_powertools", "jmespath", "typing_extensions"}


def test_a_function_that_does_not_become_active_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting has an end, and the error names the function."""

    class Stuck:
        """A service whose function stays pending."""

        def create_function(self, **_: object) -> dict[str, Any]:
            """Create one."""
            return {"FunctionArn": "arn"}

        def get_function_configuration(self, **_: object) -> dict[str, Any]:
            """Say that it is pending."""
            return {"State": "Pending"}

        def invoke(self, **_: object) -> dict[str, Any]:
            """Be out of use."""
            raise NotImplementedError

        def create_function_url_config(self, **_: object) -> dict[str, Any]:
            """Be out of use."""
            raise NotImplementedError

    monkeypatch.setattr(lambda_functions, "_READY_SECONDS", 0.0)

    with pytest.raises(StoreUnavailable, match="slow"):
        lambda_functions.deploy(Stuck(), Function("slow", b"", "handler.handler"))
