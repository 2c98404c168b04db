"""What an answer to a conditional put says: there, again, or nothing at all."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from daena_kms.audit.reader import read_tail
from daena_kms.audit.verify import verify
from daena_kms.audit.writer import RunWriter
from daena_kms.errors import AuditUnavailable, StoreUnavailable
from daena_kms.kms.manifests import Chain, attest, verify_chain
from daena_kms.objects.base import AUDIT, CLAIMS, AlreadyExists, Objects, Use
from daena_kms.objects.cloud import RETRY_TIMEOUT
from daena_kms.stores.azure.claims import Claims

from tests.unit.kms.manifests import one_signer, rotation
from tests.unit.logs import CONTEXT, Hands, action
from tests.unit.objects.scripted import (
    EXISTS,
    PAGE,
    Open,
    Reply,
    Script,
    refusal,
)
from tests.worlds.memory import START, MemoryObjects

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "log/2026/03/01/12/run/000000.json"
OURS, THEIRS = b"ours", b"theirs"
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html: "On a 409 failure retry the
#: upload". OperationAborted as users have met it: apache/arrow-rs-object-store#138. The last is a
#: service whose code nobody here knows.
AGAIN = [refusal(409, "ConditionalRequestConflict"), refusal(409, "OperationAborted"), Reply(409)]


@pytest.fixture
def log(bucket: tuple[Script, Open]) -> Objects:
    """Open the bucket as a log."""
    return bucket[1](AUDIT)


@pytest.mark.parametrize("again", AGAIN, ids=["conflict", "aborted", "unknown"])
@pytest.mark.parametrize("times", [1, 7])
def test_a_conflict_is_tried_again(script: Script, log: Objects, again: Reply, times: int) -> None:
    """Each time after a look that shows no object; nothing says that one exists."""
    script.next["PUT"] = [again] * times
    log.put_new(NAME, OURS)
    assert script.held == {NAME: OURS}
    assert (script.asked("PUT"), script.asked("HEAD")) == (times + 1, times)
    assert len(script.waits) == times
    assert sum(script.waits) < RETRY_TIMEOUT.total_seconds()


@pytest.mark.parametrize("again", AGAIN, ids=["conflict", "aborted", "unknown"])
@pytest.mark.parametrize("stores", [True, THEIRS], ids=["ours", "theirs"])
def test_after_a_conflict_a_look_finds_the_object(
    script: Script, log: Objects, again: Reply, stores: bool | bytes
) -> None:
    """Our own, whose answer was lost, or another writer's: it is read, and told apart."""
    script.next["PUT"] = [Reply(again.status, again.body, again.headers, stores)]
    assert log.create(NAME, OURS, 100) == (OURS if stores is True else THEIRS)
    assert (script.asked("PUT"), script.waits) == (1, [])


@pytest.mark.parametrize("use", [AUDIT, CLAIMS], ids=["log", "claims"])
def test_a_conflict_that_does_not_end(bucket: tuple[Script, Open], use: Use) -> None:
    """It is an error of the use, and not that the object exists. The tries are bounded."""
    script, opened = bucket
    script.always["PUT"] = refusal(409, "ConditionalRequestConflict")
    with pytest.raises(use.error, match=r"\(ConditionalRequestConflict\): others write to it"):
        opened(use).put_new(NAME, OURS)
    assert script.asked("PUT") == 8
    assert sum(script.waits) < RETRY_TIMEOUT.total_seconds()


def test_a_place_that_is_being_deleted(script: Script, log: Objects) -> None:
    """That is a 409 as well, and nobody's conflict: the service's code is told."""
    script.always["PUT"] = refusal(409, "ContainerBeingDeleted")
    with pytest.raises(AuditUnavailable, match=r"\(ContainerBeingDeleted\): the service refused"):
        log.put_new(NAME, OURS)


def test_the_time_for_tries_is_bounded(script: Script, log: Objects) -> None:
    """A service that is slow with each of them gets fewer."""
    script.always["PUT"] = refusal(409, "ConditionalRequestConflict")
    creator = vars(log)["_creator"]
    creator._seconds = timedelta(seconds=0.5).total_seconds()
    with pytest.raises(AuditUnavailable, match="others write"):
        log.put_new(NAME, OURS)
    assert sum(script.waits) <= 0.5
    assert script.asked("PUT") < 8


def test_a_look_that_fails_shows_nothing(script: Script, log: Objects) -> None:
    """Then the put decides: it is sent again."""
    script.next |= {"PUT": [AGAIN[0]], "HEAD": [Reply(403)]}
    log.put_new(NAME, OURS)
    assert script.held == {NAME: OURS}


@pytest.mark.parametrize("body", [OURS, THEIRS], ids=["ours", "theirs"])
def test_what_exists_needs_no_look(script: Script, log: Objects, body: bytes) -> None:
    """Each service has an answer that says so; the object itself says whose it is."""
    script.held[NAME] = body
    with pytest.raises(AlreadyExists):
        log.put_new(NAME, OURS)
    assert script.seen == ["PUT"]
    assert log.create(NAME, OURS, 100) == body


@pytest.mark.parametrize("lost", [503, 500])
def test_a_lost_answer_and_then_that_it_exists(script: Script, log: Objects, lost: int) -> None:
    """The library sends the put again, and finds its own object."""
    script.next["PUT"] = [Reply(lost, stores=True)]
    assert log.create(NAME, OURS, 100) == OURS
    assert script.asked("PUT") == 2


@pytest.mark.parametrize("lost", [503, 500])
def test_a_lost_answer_and_then_a_conflict(script: Script, log: Objects, lost: int) -> None:
    """The conflict is with our own put."""
    script.next["PUT"] = [Reply(lost), refusal(409, "ConditionalRequestConflict", stores=True)]
    assert log.create(NAME, OURS, 100) == OURS


def test_a_refusal_of_an_object_that_exists(script: Script, log: Objects) -> None:
    """A role that may add and not overwrite may get 403 instead, also for its own put."""
    refused = refusal(403, "UnauthorizedBlobOverwrite", stores=True)
    script.next["PUT"] = [refused]
    with pytest.raises(AlreadyExists) as exists:
        log.put_new(NAME, OURS)
    assert exists.value.refused == "UnauthorizedBlobOverwrite"
    script.next["PUT"] = [refused]
    assert log.create(NAME, OURS, 100) == OURS


def test_what_exists_and_then_does_not(script: Script, log: Objects) -> None:
    """Somebody deletes it in between: it is created after all, or that is an error of its own."""
    exists = refusal(*EXISTS[script.kind])
    script.next["PUT"] = [exists]
    assert log.create(NAME, OURS, 100) == OURS
    script.always["PUT"] = exists
    with pytest.raises(AuditUnavailable, match="can't be created, and it can't be read either"):
        log.create("log/other", OURS, 100)


#: Answers to a put that no service gives: a page, with an etag or without, and nothing.
NOTHING = {
    "a page": Reply(200, PAGE, {"Content-Type": "text/html"}),
    "a page with an etag": Reply(200, PAGE, {"ETag": '"5e2f-5a1"'}),
    "a weak etag": Reply(200, PAGE, {"ETag": 'W/"d41d8cd98f00b204e9800998ecf8427e"'}),
    "nothing": Reply(204),
    "an error with success": Reply(200, refusal(500, "InternalError").body),
}


@pytest.mark.parametrize("reply", NOTHING.values(), ids=list(NOTHING))
def test_a_put_that_something_else_answered(script: Script, log: Objects, reply: Reply) -> None:
    """It is not known to be written, so a look decides: it is not there, another's, or ours."""
    script.always["PUT"] = reply
    with pytest.raises(AuditUnavailable, match="what answers there is not the service"):
        log.put_new(NAME, OURS)
    script.always["PUT"] = Reply(reply.status, reply.body, reply.headers, stores=THEIRS)
    with pytest.raises(AuditUnavailable, match="what answers there is not the service"):
        log.put_new(NAME, OURS)
    script.always["PUT"] = Reply(reply.status, reply.body, reply.headers, stores=True)
    log.put_new("log/ours", OURS)
    script.always["GET"] = Reply(200, PAGE, {"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"})
    with pytest.raises(AuditUnavailable, match="what answers there is not the service"):
        log.put_new("log/more", OURS)


def test_a_run_goes_through_conflicts(script: Script, log: Objects) -> None:
    """Whichever of its records meets one, and whether that record is there or not: no hole."""
    for at in range(3):
        for stores in (False, True):
            writer = RunWriter(log, CONTEXT, Hands(START))
            puts: list[Callable[[], object]] = [
                partial(writer.intent, [action()]),
                partial(writer.outcome, []),
                partial(writer.close, read_tail(MemoryObjects()), [], {}),
            ]
            conflict = refusal(409, "ConditionalRequestConflict", stores=stores)
            for number, put in enumerate(puts):
                script.next["PUT"] = [conflict] if number == at else []
                put()
    assert len(script.held) == 3 * 2 * 3
    log = MemoryObjects()
    log.stored = dict(sorted(script.held.items()))
    assert verify(log).problems == []


@pytest.mark.parametrize("stores", [False, True])
def test_a_chain_of_manifests_goes_through_a_conflict(
    script: Script, log: Objects, *, stores: bool
) -> None:
    """Each of them: no number is left out, and none is written twice."""
    chain = Chain(log)
    for _ in range(3):
        script.next["PUT"] = [refusal(409, "ConditionalRequestConflict", stores=stores)]
        attest(one_signer(), chain, rotation())
    assert sorted(script.held) == [chain.name(number) for number in (1, 2, 3)]
    assert verify_chain(chain, public_key=one_signer().public_key).ok


@pytest.mark.parametrize("stores", [False, True])
def test_a_claim_goes_through_a_conflict(bucket: tuple[Script, Open], *, stores: bool) -> None:
    """It is the first one, and ours. Somebody else's is a lost race, and no error of the place."""
    script, opened = bucket
    claims = Claims(opened(CLAIMS), "vault")
    script.next["PUT"] = [refusal(409, "ConditionalRequestConflict", stores=stores)]
    assert claims.take("some-key", "base", START).attempt == 0
    assert list(script.held) == ["vault/some-key/base/0"]
    script.always["PUT"] = refusal(409, "ConditionalRequestConflict")
    with pytest.raises(StoreUnavailable, match="others write"):
        claims.take("other-key", "base", START)
