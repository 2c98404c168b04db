"""On AWS: what comes back and is no answer is never taken for a change that was made.

A proxy answers a request itself, with a page or with nothing, before or after the service did what
it says. Whoever asked can't tell these apart, so the result is unknown until a look shows it.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from daena_kms.errors import DaenaKMSError, StoreUnavailable
from daena_kms.rules.plan import Outcome
from daena_kms.sdk.aws.client import AWS
from daena_kms.stores.aws.block import Blocks

from infra.local.aws.sim import REGION
from infra.local.http_server import Response
from tests.faults.proxies import HTML, JSON, Proxy, refusal, with_member
from tests.worlds.aws import AwsWorld
from tests.worlds.base import DAY

KEY, NEW = "app-key", "new-key"
LATER = 91 * DAY
PAGES = {
    "a page": Response(200, b"<html><body>Please log in</body></html>", HTML),
    "nothing": Response(200, b"", HTML),
    "another form": Response(200, b'{"status": "ok"}', JSON),
}
#: Operations that the command line makes, by what they call.
CALLS: dict[str, Callable[[AwsWorld], object]] = {
    "CreateSecret": lambda w: w.operations().create(NEW),
    "PutSecretValue": lambda w: w.operations().rollback(KEY, w.current(KEY)),
    "GetSecretValue": lambda w: w.adapter.get_key(KEY),
    "DescribeSecret": lambda w: w.adapter.rotate_key(KEY),
    "ListSecrets": lambda w: w.adapter.list_keys(),
    "TagResource": lambda w: w.operations().hold(KEY),
    "UntagResource": lambda w: w.operations().release("held-key"),
    "DeleteSecret": lambda w: w.operations().delete(KEY),
    "RestoreSecret": lambda w: w.operations().restore("deleted-key"),
    "GenerateDataKey": lambda w: w.adapter.create_key(NEW),
}


@pytest.fixture
def proxy(aws: AwsWorld) -> Proxy:
    """Give a proxy that passes everything on, and three keys behind it."""
    for key_id in (KEY, "held-key", "deleted-key"):
        aws.operations().create(key_id)
    aws.tag("held-key", hold="true")
    aws.adapter.delete_key("deleted-key")
    found = Proxy(aws.sim)
    aws.adapter = aws.adapter_of(*found.clients())
    return found


def results(aws: AwsWorld) -> list[dict[str, Any]]:
    """Return every result in the log but those of the keys that there were before."""
    rows = [row for record in aws.records() for row in record.get("results", ())]
    return [row for row in rows if row["key"] == NEW or row["kind"] != "create"]


@pytest.mark.parametrize("page", ["a page", "another form"])
@pytest.mark.parametrize("operation", CALLS)
def test_no_answer_is_no_result(aws: AwsWorld, proxy: Proxy, operation: str, page: str) -> None:
    """Whatever was asked for: the store did not answer, and the log says that it is unknown."""
    proxy.answer(operation, PAGES[page], first=False)
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[operation](aws)
    assert caught.value.todo
    assert proxy.answered == [operation]
    assert {row["result"] for row in results(aws)} <= {Outcome.UNKNOWN}


@pytest.mark.parametrize("operation", [name for name in CALLS if name != "GenerateDataKey"])
def test_what_was_done_behind_the_page_is_found_by_a_look(
    aws: AwsWorld, proxy: Proxy, operation: str
) -> None:
    """The service did it, and the page hides that: nothing is lost, and the next run writes it."""
    proxy.answer(operation, PAGES["a page"])
    with contextlib.suppress(StoreUnavailable):
        CALLS[operation](aws)
    before = aws.state()
    aws.run()
    assert aws.state() == before
    # A put alone makes nothing current.
    found = Outcome.NOT_DONE if operation == "PutSecretValue" else Outcome.DONE
    assert {row["result"] for row in results(aws) if "recovered" in row} <= {found}
    assert aws.verify().ok


@pytest.mark.parametrize("page", PAGES)
def test_a_promotion_that_did_not_happen_is_not_rotated(
    aws: AwsWorld, proxy: Proxy, page: str
) -> None:
    """A look shows that the base is still current, so the result is unknown, not done."""
    before = aws.current(KEY)
    proxy.answer("UpdateSecretVersionStage", PAGES[page], first=False, times=9)
    summary = aws.run(LATER, keys=[KEY])
    assert (summary.rotated, summary.failed) == ([], [KEY])
    assert aws.current(KEY) == before
    assert [row["result"] for row in results(aws)] == [Outcome.UNKNOWN]
    proxy.answer("UpdateSecretVersionStage", PAGES[page], times=0)
    assert aws.run(LATER, keys=[KEY]).finished == [KEY]
    assert aws.verify().ok


@pytest.mark.parametrize("page", ["a page", "another form"])
def test_a_promotion_that_happened_is_rotated(aws: AwsWorld, proxy: Proxy, page: str) -> None:
    """A look shows the new version as current."""
    before = aws.current(KEY)
    proxy.answer("UpdateSecretVersionStage", PAGES[page])
    assert aws.run(LATER, keys=[KEY]).rotated == [KEY]
    assert aws.current(KEY) != before
    assert aws.verify().ok


def test_a_page_instead_of_the_policy_does_not_replace_it(aws: AwsWorld, proxy: Proxy) -> None:
    """A resource policy that can't be read is not an empty one: others' statements stay."""
    theirs = '{"Version": "2012-10-17", "Statement": []}'
    aws.secrets.put_resource_policy(SecretId=KEY, ResourcePolicy=theirs)
    blocks = Blocks(AWS(REGION, None, {"secretsmanager": proxy.clients().secrets}))
    proxy.answer("GetResourcePolicy", PAGES["a page"], first=False)
    with pytest.raises(StoreUnavailable):
        blocks.block(KEY, aws.current(KEY))
    assert aws.secrets.get_resource_policy(SecretId=KEY)["ResourcePolicy"] == theirs
    proxy.answer("PutResourcePolicy", PAGES["a page"], first=False)
    with pytest.raises(StoreUnavailable):
        blocks.block(KEY, aws.current(KEY))


@pytest.mark.parametrize(("first", "done"), [(True, True), (False, False)])
def test_an_answer_that_proves_nothing_is_looked_up(
    aws: AwsWorld, proxy: Proxy, *, first: bool, done: bool
) -> None:
    """TagResource answers with nothing at all, as a proxy may: without the id, a look decides."""
    proxy.answer("TagResource", PAGES["nothing"], first=first)
    with contextlib.nullcontext() if done else pytest.raises(StoreUnavailable):
        aws.operations().hold(KEY)
    assert aws.look(KEY).tags.get("daena.hold") == ("true" if done else None)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_an_answer_that_proves_nothing_and_can_t_be_looked_up(
    aws: AwsWorld, proxy: Proxy, code: str
) -> None:
    """Unknown, and never failed: the tag may be there."""

    def blind(_theirs: Response) -> Response:
        proxy.answer("DescribeSecret", refusal(code, "No."), first=False)
        return PAGES["nothing"]

    proxy.answer("TagResource", blind)
    with pytest.raises(StoreUnavailable):
        aws.operations().hold(KEY)
    assert [row["result"] for row in results(aws)] == [Outcome.UNKNOWN]


@pytest.mark.parametrize("status", [403, 404])
def test_a_status_alone_settles_nothing(aws: AwsWorld, proxy: Proxy, status: int) -> None:
    """A proxy's page does not say that there is no such key, nor that the caller may not."""
    proxy.answer("DescribeSecret", Response(status, b"<html></html>", HTML), first=False)
    with pytest.raises(StoreUnavailable, match="proxy in between"):
        aws.adapter.rotate_key(KEY)


def test_an_entry_without_a_date(aws: AwsWorld, proxy: Proxy) -> None:
    """One of ours stops the listing; one of others, whatever it is, does not."""
    theirs = {"Name": "their-secret", "Tags": [{"Key": "daena.managed-by"}]}
    listed = aws.adapter.list_keys()
    proxy.answer("ListSecrets", with_member("SecretList", [theirs]))
    assert aws.adapter.list_keys() == []
    proxy.answer("ListSecrets", with_member("NextToken", None))
    assert aws.adapter.list_keys() == listed
    ours = {"Name": KEY, "Tags": [{"Key": "daena.managed", "Value": "true"}]}
    proxy.answer("ListSecrets", with_member("SecretList", [ours]))
    with pytest.raises(DaenaKMSError, match="not one that AWS gives"):
        aws.adapter.list_keys()
