"""The guide's chapter on errors has every one, and those of the clouds that the code knows."""

import re

import pytest
from daena_kms.api import keys, messages
from daena_kms.errors import DaenaKMSError
from daena_kms.sdk.aws import errors as aws_errors
from daena_kms.sdk.azure import errors as azure_errors
from daena_kms.sdk.gcp import errors as gcp_errors
from google.api_core import exceptions

from tests.docs.guide import ROOT, section

CHAPTER = section("## Troubleshooting")
OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text()
HTTP = (messages, keys)


def kinds(kind: type[DaenaKMSError]) -> set[type[DaenaKMSError]]:
    """An error and all that are derived from it."""
    return {kind}.union(*(kinds(derived) for derived in kind.__subclasses__()))


def codes(*, http: bool) -> set[str]:
    """The codes of the errors that the API alone has, or that all have."""
    own = {kind.__module__ for kind in kinds(DaenaKMSError)} & {m.__name__ for m in HTTP}
    of_all = {k.code for k in kinds(DaenaKMSError) if k.__module__ == DaenaKMSError.__module__}
    of_http = {k.code for k in kinds(DaenaKMSError) if k.__module__ in own}
    return of_http - of_all if http else of_all


def rows(text: str) -> dict[str, list[str]]:
    """Each row of a chapter's tables by the code in its first cell."""
    found = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text, flags=re.MULTILINE)
    return {code: cells.split(" | ") for code, cells in found}


@pytest.mark.parametrize(("heading", "http"), [("### daena-kms errors", False), (None, True)])
def test_every_code_has_a_row(heading: str | None, *, http: bool) -> None:
    """Neither one more nor one less, and each says what to do."""
    first, _, second = section("### daena-kms errors", CHAPTER).partition("Over HTTP only:")
    table = rows(first if heading else second)
    assert set(table) == codes(http=http)
    assert all(len(cells) == 2 and all(cells) for cells in table.values())


def clouds_rows(heading: str) -> list[tuple[str, str]]:
    """What a cloud says, and our code for it, by row."""
    text = section(heading, CHAPTER)
    return re.findall(r"^\| (.*?) \| `([a-z-]+)`", text, flags=re.MULTILINE)


def ours(heading: str, word: str) -> str:
    """Our code for what a cloud says; the row with most words that are asked for."""
    found = [code for said, code in clouds_rows(heading) if re.search(rf"\b{word}\b", said)]
    assert len(found) == 1, (word, found)
    return found[0]


def test_every_code_of_aws_has_a_row_with_our_error() -> None:
    """What is mapped, and to what."""
    table = {code: meaning.error.code for code, meaning in aws_errors._ERRORS.items()}
    table |= dict.fromkeys(aws_errors._REFUSED, "config-error")
    assert {code: ours("### AWS errors", code) for code in table} == table


def test_every_answer_of_azure_has_a_row_with_our_error() -> None:
    """A code of the vault's has a row of its own, and so has a status without one."""
    table = {answer: meaning.error.code for answer, meaning in azure_errors._ERRORS.items()}
    codes_of_their_own = [answer for answer in table if isinstance(answer, str)]
    listed = clouds_rows("### Azure errors")
    for answer, code in table.items():
        if isinstance(answer, int):
            rest = [row for row in listed if not any(own in row[0] for own in codes_of_their_own)]
            assert {known for said, known in rest if said.startswith(str(answer))} == {code}
        else:
            assert ours("### Azure errors", answer) == code


def test_every_status_of_google_cloud_has_a_row_with_our_error() -> None:
    """By the name that gRPC gives it."""
    for name, meaning in gcp_errors._ERRORS.items():
        status = getattr(exceptions, name).grpc_status_code
        if status is not None:
            assert ours("### Google Cloud errors", status.name) == meaning.error.code


def test_operations_answers_every_code() -> None:
    """Whoever is on call finds each error there, too, or the way to this chapter."""
    assert "CLOUD_KMS_GUIDE.md#troubleshooting" in OPERATIONS
