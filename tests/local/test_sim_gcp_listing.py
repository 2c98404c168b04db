"""Secret Manager's listings: filters, pages, and answers that lag behind."""

from collections.abc import Sequence

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.cloud.secretmanager_v1.types import Secret

from tests.local.gcp_calls import HERE, Gcp, gcp, name, refused, value

__all__ = ["gcp"]


def listed(gcp: Gcp, text: str = "", size: int = 0) -> list[str]:
    """Return the ids that a listing shows."""
    request = {"parent": HERE, "filter": text, "page_size": size}
    return ids(list(gcp.client.list_secrets(request=request)))


def ids(secrets: Sequence[Secret]) -> list[str]:
    """Return the last part of each name."""
    return [secret.name.rpartition("/")[2] for secret in secrets]


def test_secrets_are_listed_newest_first(gcp: Gcp) -> None:
    """With the metadata that a plan needs: etag, annotations, aliases."""
    for secret_id in ("b", "a", "c"):
        gcp.create(secret_id)
    gcp.add("a")
    gcp.update("a", version_aliases={"current": 1}, annotations={"x": "y"})
    assert listed(gcp) == ["c", "a", "b"]
    assert list(gcp.client.list_secrets(parent=HERE))[1] == gcp.get("a")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("labels.daena-managed=true", ["old-b", "a"]),
        ("labels.daena-managed:*", ["c", "old-b", "a"]),
        ("labels.daena-managed:ru", ["old-b", "a"]),
        ('labels.team="x"', ["a"]),
        ("NOT labels.daena-managed:*", ["d"]),
        ("-labels.daena-managed:*", ["d"]),
        ("labels.daena-managed!=true", ["d", "c"]),
        ("name:old", ["old-b"]),
        ("name=a", ["a"]),
        ("name:old OR name:c", ["c", "old-b"]),
        ("labels.daena-managed=true AND labels.team=x", ["a"]),
        ("labels.daena-managed=true labels.team=x", ["a"]),
        ("labels.team=x AND name:d OR name:a", ["a"]),
        ("create_time>=2026-03-01T13:00:00Z", ["d"]),
        ('create_time<"2026-03-01T13:00:00Z"', ["c", "old-b", "a"]),
        ("labels.none=x", []),
    ],
)
def test_a_filter_chooses_secrets(gcp: Gcp, text: str, found: list[str]) -> None:
    """By label, name and date, with AND, OR and NOT."""
    gcp.create("a", labels={"daena-managed": "true", "team": "x"})
    gcp.create("old-b", labels={"daena-managed": "true"})
    gcp.create("c", labels={"daena-managed": "false"})
    gcp.sim.shift_clock(seconds=3600)
    gcp.create("d")
    assert listed(gcp, text) == found


@pytest.mark.parametrize(
    "text",
    [
        "labels.a",
        "labels.a=",
        "annotations.a=b",
        "labels=a",
        "AND name:a",
        "name:a OR",
        "name:a AND OR name:b",
        "(name:a)",
        "name ~ a",
        "name>a",
        "create_time>yesterday",
        "create_time>2026-03-01T12:00:00",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(gcp: Gcp, text: str) -> None:
    """Malformed ones, and what is not modelled, so that no test passes for the wrong reason."""
    gcp.create("a")
    with refused(InvalidArgument):
        listed(gcp, text)


def test_a_listing_comes_in_pages(gcp: Gcp) -> None:
    """Of the size asked for, or one of the server's own; the total is of all, without a filter."""
    for number in range(7):
        gcp.create(f"key-{number}", labels={"odd": str(number % 2)})
    pages = list(gcp.client.list_secrets(request={"parent": HERE, "page_size": 3}).pages)
    assert [(len(page.secrets), page.total_size) for page in pages] == [(3, 7), (3, 7), (1, 7)]
    request = {"parent": HERE, "page_size": 2, "filter": "labels.odd=0"}
    pages = list(gcp.client.list_secrets(request=request).pages)
    assert [(len(page.secrets), page.total_size) for page in pages] == [(2, 0), (2, 0)]
    assert listed(gcp, size=3) == [f"key-{number}" for number in reversed(range(7))]
    assert listed(gcp, size=100_000) == listed(gcp)
    with refused(InvalidArgument):
        listed(gcp, size=-1)


def test_a_page_holds_250_unless_told_otherwise(gcp: Gcp) -> None:
    """So whoever leaves the size to the server must follow the tokens."""
    for number in range(251):
        gcp.create(f"key-{number}")
    calls = len(gcp.sim.calls)
    assert len(listed(gcp)) == 251
    assert len(gcp.sim.calls) - calls == 2


def test_a_page_token_belongs_to_its_question(gcp: Gcp) -> None:
    """With another filter, or made up, it is refused; secrets made meanwhile do not shift it."""
    for secret_id in ("a", "b", "c"):
        gcp.create(secret_id)
    first = next(iter(gcp.client.list_secrets(request={"parent": HERE, "page_size": 1}).pages))
    token = first.next_page_token
    gcp.create("d")
    for request in ({"filter": "name:a", "page_token": token}, {"page_token": "x"}):
        with refused(InvalidArgument, "page token"):
            gcp.client.list_secrets(request={"parent": HERE} | request)
    rest = gcp.client.list_secrets(request={"parent": HERE, "page_token": token})
    assert ids(list(rest)) == ["b", "a"]


def test_a_frozen_listing_shows_the_past(gcp: Gcp) -> None:
    """ListSecrets lags while reads of one secret and all writes are live."""
    made = gcp.create("key", annotations={"a": "1"})
    gcp.create("gone")
    gcp.sim.freeze_listing()
    changed = gcp.update("key", annotations={"a": "2"})
    gcp.client.delete_secret(name=name("gone"))
    gcp.create("new")
    assert list(gcp.client.list_secrets(parent=HERE))[1] == made
    assert listed(gcp) == ["gone", "key"]
    assert gcp.get("key") == changed
    gcp.sim.unfreeze_listing()
    assert listed(gcp) == ["new", "key"]


def test_a_frozen_list_of_versions_shows_the_past(gcp: Gcp) -> None:
    """ListSecretVersions lags; a read by number is immediate."""
    gcp.create("key")
    gcp.add("key")
    gcp.sim.freeze_versions()
    gcp.add("key", newest := value())
    assert len(list(gcp.client.list_secret_versions(parent=name("key")))) == 1
    assert gcp.access("key", 2) == newest
    gcp.create("new")
    gcp.add("new")
    assert list(gcp.client.list_secret_versions(parent=name("new"))) == []
    gcp.sim.unfreeze_versions()
    assert len(list(gcp.client.list_secret_versions(parent=name("key")))) == 2


def test_frozen_aliases_lead_to_the_past(gcp: Gcp) -> None:
    """Readers by alias and of ``latest`` lag; the secret itself already shows the move."""
    gcp.create("key")
    gcp.add("key", old := value())
    gcp.update("key", version_aliases={"current": 1})
    gcp.sim.freeze_aliases()
    gcp.add("key", new := value())
    gcp.update("key", version_aliases={"current": 2})
    gcp.create("other")
    gcp.add("other")
    assert gcp.access("key", "current") == gcp.access("key", "latest") == old
    assert gcp.access("key", 2) == new
    assert dict(gcp.get("key").version_aliases) == {"current": 2}
    with refused(NotFound):
        gcp.access("other", "latest")
    gcp.sim.unfreeze_aliases()
    assert gcp.access("key", "current") == gcp.access("key", "latest") == new
