"""On AWS: what holds the log and the values is guarded, and the way out takes all of it along."""

import re

from tests.infra.deployed import TREE

ROOT = TREE.parents[1]
MODULE = TREE / "aws"
GUARD = "lifecycle {\n    prevent_destroy = true\n  }"


def _resources() -> dict[str, str]:
    """Return the module's resources by address, as they are written."""
    text = "".join(path.read_text() for path in sorted(MODULE.glob("*.tf")))
    found = re.findall(r'^resource "(\w+)" "(\w+)" \{$(.*?)^\}$', text, re.MULTILINE | re.DOTALL)
    return {f"{kind}.{name}": body for kind, name, body in found}


def test_the_log_and_the_key_are_guarded() -> None:
    """A plan that destroys or replaces one of them fails, before anything is taken away."""
    resources = _resources()
    for address in ("aws_s3_bucket.audit", "aws_kms_key.values"):
        assert GUARD in resources[address]


def test_the_way_out_takes_all_of_the_bucket_along() -> None:
    """Of what is left in the state, a destroy would take the lock or the policy away."""
    guide = (ROOT / "docs" / "DEPLOY.md").read_text()
    forgotten = set(re.findall(r"'module\.daena_kms\.(\w+\.\w+)(?:\[0\])?'", guide))
    of_bucket = {
        address for address in _resources() if re.match(r"aws_s3_bucket\w*\.audit$", address)
    }
    assert len(of_bucket) == 7
    assert forgotten >= of_bucket | {"aws_kms_key.values"}
