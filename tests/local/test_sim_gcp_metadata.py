"""Secret Manager's rules for labels, annotations, aliases, dates and topics of a secret."""

from datetime import timedelta

import pytest
from google.api_core.exceptions import FailedPrecondition, InvalidArgument, NotFound

from tests.local.gcp_calls import START, Gcp, gcp, name, refused

__all__ = ["gcp"]

TOPIC = {"name": "projects/p/topics/t"}


@pytest.mark.parametrize(
    "labels",
    [{"": "a"}, {"A": "b"}, {"1a": "b"}, {"a.b": "c"}, {"a": "B"}, {"a": "b" * 64}, {"a" * 64: ""}],
    ids=["empty", "capital", "digit-first", "dot", "capital-value", "long-value", "long-key"],
)
def test_labels_have_few_characters(gcp: Gcp, labels: dict[str, str]) -> None:
    """Lower-case letters, digits, hyphens and underscores, 63 of them, a letter first."""
    gcp.create("good", labels={"daena-managed": "true", "ä_1": "", "a" * 63: "1" * 63})
    with refused(InvalidArgument, "label"):
        gcp.create("key", labels=labels)


def test_a_secret_has_at_most_64_labels(gcp: Gcp) -> None:
    """One more is refused."""
    gcp.create("key", labels={f"a{n}": "" for n in range(64)})
    with refused(InvalidArgument):
        gcp.update("key", labels={f"a{n}": "" for n in range(65)})


@pytest.mark.parametrize("key", ["", ".a", "a.", "a b", "ä", "a" * 65, "a/b"])
def test_annotation_keys_begin_and_end_with_a_letter_or_digit(gcp: Gcp, key: str) -> None:
    """Up to 64 characters, with dots, hyphens and underscores in between; values are free."""
    gcp.create("good", annotations={"daena.rotate-after_1": "90d ä{}", "Z": "", "a" * 64: ""})
    with refused(InvalidArgument, "annotation key"):
        gcp.create("key", annotations={key: ""})


def test_annotations_have_16_kib_in_all(gcp: Gcp) -> None:
    """Keys and values together have no more than that, counted in UTF-8."""
    gcp.create("key", annotations={"a": "b" * (16 * 1024 - 1)})
    with refused(InvalidArgument, "16kib"):
        gcp.update("key", annotations={"a": "b" * (16 * 1024)})
    with refused(InvalidArgument, "16kib"):
        gcp.update("key", annotations={"a": "ä" * (8 * 1024)})


@pytest.mark.parametrize("alias", ["latest", "NEW", "", "1a", "a.b", "a" * 64, "-a"])
def test_alias_names_are_limited(gcp: Gcp, alias: str) -> None:
    """A letter, then letters, digits, hyphens and underscores; two words are reserved."""
    gcp.create("key")
    gcp.add("key")
    gcp.update("key", version_aliases={"current": 1, "a_1-B": 1, "new": 1})
    with refused(InvalidArgument, "alias"):
        gcp.update("key", version_aliases={alias: 1})


def test_an_alias_leads_to_a_version_that_exists(gcp: Gcp) -> None:
    """Destroyed or not. One to no version is refused, and so is the fifty-first."""
    gcp.create("key")
    for _ in range(2):
        gcp.add("key")
    with refused(InvalidArgument, "Aliases cannot be assigned to versions that don't exist"):
        gcp.update("key", version_aliases={"current": 3})
    gcp.update("key", version_aliases={"previous": 1})
    gcp.client.destroy_secret_version(name=name("key", 1))
    gcp.update("key", version_aliases={"previous": 1, "current": 2})
    gcp.update("key", version_aliases={"current": 1})
    gcp.update("key", version_aliases={f"a{n}": 2 for n in range(50)})
    with refused(InvalidArgument, "50"):
        gcp.update("key", version_aliases={f"a{n}": 2 for n in range(51)})
    with refused(InvalidArgument, "Aliases"):
        gcp.create("other", version_aliases={"current": 1})


def test_a_secret_ends_at_its_time(gcp: Gcp) -> None:
    """A time or a span to live; answers show the time; after it the secret is gone."""
    when = START + timedelta(hours=1)
    assert gcp.create("key", expire_time=when).expire_time == when
    assert gcp.create("other", ttl=timedelta(hours=2)).expire_time == START + timedelta(hours=2)
    with refused(InvalidArgument, "expiration"):
        gcp.create("past", expire_time=START)
    gcp.sim.shift_clock(seconds=3599)
    gcp.get("key")
    gcp.sim.shift_clock(seconds=1)
    with refused(NotFound):
        gcp.get("key")
    gcp.update("other", expire_time=None)
    gcp.sim.shift_clock(seconds=36_000)
    assert "expire_time" not in gcp.get("other")
    assert [secret_id.rpartition("/")[2] for secret_id in gcp.sim.secrets] == ["other"]


def test_rotation_needs_topics_and_time(gcp: Gcp) -> None:
    """At least five minutes ahead, with a period of at least an hour; it goes on by itself."""
    soon = START + timedelta(minutes=5)
    good = {"next_rotation_time": soon, "rotation_period": timedelta(hours=1)}
    with refused(InvalidArgument, "topics"):
        gcp.create("key", rotation=good)
    for bad in (
        {"next_rotation_time": START + timedelta(minutes=4)},
        good | {"rotation_period": timedelta(minutes=59)},
    ):
        with refused(InvalidArgument, "rotation"):
            gcp.create("key", topics=[TOPIC], rotation=bad)
    with refused(FailedPrecondition, "Next rotation time must be set"):
        gcp.create("key", topics=[TOPIC], rotation={"rotation_period": timedelta(hours=1)})
    made = gcp.create("key", topics=[TOPIC], rotation=good)
    assert made.rotation.next_rotation_time == soon
    gcp.sim.shift_clock(seconds=2 * 3600)
    assert gcp.get("key").rotation.next_rotation_time == soon + timedelta(hours=2)
    with refused(InvalidArgument, "topics"):
        gcp.update("key", topics=[])


def test_topics_have_full_names(gcp: Gcp) -> None:
    """At most ten of them."""
    with refused(InvalidArgument, "topic"):
        gcp.create("key", topics=[{"name": "t"}])
    eleven = [{"name": f"projects/p/topics/{n}"} for n in range(11)]
    with refused(InvalidArgument, "topics"):
        gcp.create("key", topics=eleven)
    assert len(gcp.create("key", topics=eleven[1:]).topics) == 10


def test_a_destruction_is_delayed_by_a_day_at_least(gcp: Gcp) -> None:
    """Zero and nothing mean at once; less than a day or over a thousand are refused."""
    for bad in (timedelta(hours=23), timedelta(days=1001)):
        with refused(InvalidArgument, "version_destroy_ttl"):
            gcp.create("key", version_destroy_ttl=bad)
    made = gcp.create("key", version_destroy_ttl=timedelta(days=1))
    assert made.version_destroy_ttl == timedelta(days=1)
    assert "version_destroy_ttl" not in gcp.update("key", version_destroy_ttl=timedelta())
