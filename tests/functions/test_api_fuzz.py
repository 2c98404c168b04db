"""Schemathesis over the API's own description, against the form in which each cloud mounts it."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from daena_kms.api import openapi
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from tests.functions.mounted import Mounted, mounted

pytestmark = pytest.mark.xdist_group("local-aws")

# That the key has moved on is an answer to a request that is as described.
ANSWERS = ["2xx", 401, 403, 404, 409, 412, 429]
# No schema says which times are over, nor what a store's version ids look like.
IN_WORDS = ("/v1/keys/{key_id}/hold", "/v1/keys/{key_id}/rollback")
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}},
        "operations": [
            {
                "include-path": path,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ANSWERS, 400]}},
            }
            for path in IN_WORDS
        ],
    }
)
SCHEMA = schemathesis.openapi.from_dict(openapi.document(), config=CONFIG)
OPERATIONS = {
    f"{found.method.upper()} {found.path}": found
    for result in SCHEMA.get_all_operations()
    if isinstance(result, Ok)
    for found in (result.ok(),)
}
# Not a rule of ours: the platform's own authentication stands before the API, and no address makes
# or deletes a key.
LEFT_OUT = {"ignored_auth", "use_after_free", "ensure_resource_availability"}
EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["aws", "azure", "gcp"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mounted]:
    """The API with three keys behind it, of which one is due."""

    def aws() -> tuple[Any, bytes]:
        return request.getfixturevalue("local_aws"), request.getfixturevalue("bundle")

    with mounted(request.param, aws, tmp_path_factory.mktemp("api")) as made:
        for key_id, days in (("a", 0), ("app-key", 0), ("due-key", 91)):
            made.make(key_id, days)
        yield made


def _cases() -> Iterator[tuple[str, GenerationMode]]:
    for name, operation in OPERATIONS.items():
        yield name, GenerationMode.POSITIVE
        if list(operation.iter_parameters()) or list(operation.body):
            yield name, GenerationMode.NEGATIVE


def _can_be_sent(case: schemathesis.Case[Any]) -> bool:
    """Whether a request is one of HTTP; others are refused by a platform's server, not by us."""
    return all(text.isprintable() and text.isascii() for text in (case.headers or {}).values())


def _has_a_reason_beyond_ascii(case: schemathesis.Case[Any]) -> bool:
    """Whether the reason is printable, which the API takes, and not ASCII, as its schema says.

    No pattern says what is printable in all of Unicode: the description promises less than is true.
    """
    reason = case.body.get("reason") if isinstance(case.body, dict) else None
    return isinstance(reason, str) and reason.isprintable() and not reason.isascii()


@pytest.mark.parametrize(
    ("operation", "mode"), list(_cases()), ids=lambda part: getattr(part, "name", part)
)
def test_every_answer_is_as_described(api: Mounted, operation: str, mode: GenerationMode) -> None:
    """For what the description allows and for what it forbids: no server error, no other status."""
    checks: list[Any] = [CHECKS.get_one(n) for n in CHECKS.get_all_names() if n not in LEFT_OUT]

    @EXAMPLES
    @given(case=OPERATIONS[operation].as_strategy(generation_mode=mode))
    def answered(case: schemathesis.Case[Any]) -> None:
        assume(_can_be_sent(case) and not _has_a_reason_beyond_ascii(case))
        case.call_and_validate(base_url=api.url, headers=api.headers, checks=checks)

    answered()
