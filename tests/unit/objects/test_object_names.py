"""Objects whose names nothing of ours has: passed over, reported, and never a listing's end."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from daena_kms.audit.reader import history, read_tail
from daena_kms.audit.records import split_name
from daena_kms.audit.verify import verify
from daena_kms.objects.base import ascii_name, is_plain
from daena_kms.objects.cloud import CloudObjects
from daena_kms.objects.listing import Asked, BlobForm, Form, Lister, Patience, S3Form
from daena_kms.sdk.listing import Watch
from daena_kms.sdk.rest import Answer
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from tests.unit.logs import Hands, write_run
from tests.unit.objects import named_places
from tests.unit.objects.named_places import Place
from tests.worlds.memory import START

if TYPE_CHECKING:
    from infra.local.aws.ministack import LocalAws
    from infra.local.gcp.fake_gcs_server import FakeGcs
    from tests.worlds.servers import LocalBlobs

HOUR = "log/2026/03/01/12/"
RUN = f"{HOUR}{'0' * 32}/"
#: No run gives it to an object, but it could be opened.
LONG = f"log/{'x' * 980}"
#: What comes after ``log/`` or further in; every one of them is refused by obstore, would be taken
#: for another name by something, or moves a terminal's cursor.
STRANGE = [
    *("log//x", "log/./x", "log/../x", "log/..", "log/.", "log/x/", f"{RUN}999999.json/"),
    *(f"{HOUR}/000000.json", f"{RUN}../000000.json", f"{HOUR}/", "log/2026//"),
    *(
        "log/a\tb",
        "log/a\nb",
        "log/a\rb",
        "log/\x01",
        "log/\x7f",
        "log/\x1b[2J\x1b[31m",
        "log/\x85",
    ),
    *("log/é", "log/\u202egnp.x", "log/\ufffe", "log/\uffff", "log/\U0001f511", "log/\u2028"),
    *("log/%2F", "log/%2e%2e/x", f"log%2F{HOUR}", "log/%", "log/%00", "log/%zz"),
    *(
        "log/a b",
        "log/ ",
        "log/a\\b",
        "log/<&>'\"",
        "log/]]>",
        "log/&#1;",
        "log/*?",
        "log/~",
        "log/{}",
    ),
    *("/log/x", f"/{RUN}000000.json", "//log/x", "/"),
    LONG,
]
#: Those that stand outside of the log all the same.
ELSEWHERE = {name for name in STRANGE if not name.startswith("log/")}


@pytest.fixture(params=["s3", "blobs", "gcs", "ministack", "azurite", "fake-gcs"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A log in each kind of store, simulated and emulated."""
    match request.param:
        case "ministack":
            server: LocalAws = request.getfixturevalue("local_aws")
            yield named_places.ministack(server.client("s3"), server.url, monkeypatch)
        case "azurite":
            blobs: LocalBlobs = request.getfixturevalue("local_blobs")
            yield named_places.azurite(blobs, monkeypatch)
        case "fake-gcs":
            gcs: FakeGcs = request.getfixturevalue("local_gcs")
            yield named_places.fake_gcs(gcs, monkeypatch)
        case kind:
            with getattr(named_places, f"simulated_{kind}")(monkeypatch) as made:
                yield made


def test_strange_names_end_nothing(place: Place) -> None:
    """Runs are written, read and verified beside them; verify alone names them, escaped."""
    clock = Hands(START)
    first = write_run(place.log, clock)
    taken = [name for name in STRANGE if name not in place.unable and place.put(name)]
    assert len(taken) > len(STRANGE) / 2
    clock.pass_(minutes=5)
    second = write_run(place.log, clock, closing=False)
    names = [entry.name for entry in place.log.entries("log/")]
    assert {name for name in names if split_name(name) is None} <= {LONG, "log/a/b"}
    assert {name[: len(first)] for name in names if split_name(name)} == {first, second}
    assert set(place.log.children("log/")) <= {"2026", "x", "a"}
    assert list(read_tail(place.log).unreported) == [second]
    assert len(list(history(place.log))) == 2
    report = verify(place.log)
    listed = {*names, *place.log.strange("log/")}
    # Services replace what no answer may hold, so two names may look alike.
    found = [problem.name for problem in report.problems]
    assert sorted(found) == sorted(
        {ascii_name(name) for name in listed if split_name(name) is None}
    )
    assert len(found) > len(set(taken) - ELSEWHERE) / 2
    beside = {name for name in taken if name.startswith("/")}
    assert {note for note in report.notes if "is outside of log/" in note} == {
        f"{name} is outside of log/, and nothing reads it" for name in beside
    }
    assert all("is not named like an object" in problem.what for problem in report.problems)
    assert all(p.name.isprintable() and p.name.isascii() for p in report.problems)
    assert all(place.log.get(name) is None for name in STRANGE if name != LONG)


class Service:
    """Answers list calls over names of any kind, two at a time, in one of the two forms."""

    def __init__(self, names: list[str], form: str) -> None:
        # As bytes they may be other characters than they were made of.
        raw = {name.encode(errors="surrogateescape") for name in names}
        self.names = sorted(name.decode(errors="surrogateescape") for name in raw)
        self.form = form
        self.calls = 0

    def __call__(self, query: Mapping[str, str]) -> Answer:
        """Return a page."""
        self.calls += 1
        token = query.get("continuation-token") or query.get("marker") or "0"
        at, prefix = int(token), query.get("prefix", "")
        found = [name for name in self.names if name.startswith(prefix)]
        more = str(at + 2) if len(found) > at + 2 else ""
        write = self.s3 if self.form == "s3" else self.blobs
        return Answer(
            200, {"date": "Sun, 01 Mar 2026 12:00:00 GMT"}, write(found[at : at + 2], more)
        )

    @staticmethod
    def s3(names: list[str], more: str) -> bytes:
        """Write S3's form, with encoded names."""
        inner = "".join(
            f"<Contents><Key>{quote_plus(name, errors='surrogateescape')}</Key><Size>1</Size>"
            "<LastModified>2026-03-01T12:00:00.000Z</LastModified></Contents>"
            for name in names
        )
        end = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        end += f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
        root = "ListBucketResult"
        return f"<{root} xmlns='x'><EncodingType>url</EncodingType>{inner}{end}</{root}>".encode()

    @staticmethod
    def blobs(names: list[str], more: str) -> bytes:
        """Write Blob Storage's form, with those names encoded that XML can't hold."""
        inner = ""
        for name in names:
            encoded = quote(name, errors="surrogateescape")
            inner += (
                f'<Blob><Name Encoded="true">{encoded}</Name><Properties>'
                "<Content-Length>1</Content-Length>"
                "<Last-Modified>Sun, 01 Mar 2026 12:00:00 GMT</Last-Modified></Properties></Blob>"
            )
        inner = f"<Blobs>{inner}</Blobs><NextMarker>{more}</NextMarker>"
        return f"<EnumerationResults>{inner}</EnumerationResults>".encode()


#: Characters of every kind, with many of those that part, escape and control.
_PARTS = st.one_of(
    st.sampled_from(["/", "//", ".", "..", "%2F", "%", "\\", "\t", "\r\n", "\x1b[2J", "\x00"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(min_size=1, max_size=3).map(lambda raw: raw.decode(errors="surrogateescape")),
    st.sampled_from(["2026", "log", "000000.json"]),
)
_NAMES = st.lists(_PARTS, min_size=1, max_size=6).map("".join)
_HONEST = f"{RUN}000000.json"


@given(st.lists(_NAMES, max_size=7), st.sampled_from(["s3", "blobs"]))
def test_any_name_comes_through_a_listing(names: list[str], form: str) -> None:
    """Each name is either given as it is or reported as it is, the honest ones among them."""
    service = Service(["log/" + name for name in names] + [_HONEST], form)
    forms: dict[str, Form] = {"s3": S3Form(encoded=True), "blobs": BlobForm()}
    objects = CloudObjects(Prefixless(), "s3://log")  # type: ignore[arg-type] # only its prefix is used
    objects._lister = Lister(service, forms[form], Patience(0, 0))
    entries = [entry.name for entry in objects.entries("log/")]
    strange = list(objects.strange("log/"))
    assert sorted([*entries, *strange]) == service.names
    assert _HONEST in entries
    assert all(is_plain(name) for name in entries)
    assert not any(is_plain(name) for name in strange)
    for name in strange:
        text = ascii_name(name)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 210


class Prefixless:
    """A store with no prefix."""

    prefix = None


@given(_NAMES)
def test_a_name_that_is_opened_means_itself_to_obstore(name: str) -> None:
    """What counts as plain is what the library neither refuses nor changes."""
    if is_plain(name):
        store = MemoryStore()
        store.put(name, b"x")
        assert [meta["path"] for chunk in store.list() for meta in chunk] == [name]


def _always(answer: Answer, _query: Mapping[str, str]) -> Answer:
    return answer


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), "\x7f", "\ufffe", "\uffff"])
def test_a_listing_that_no_xml_may_be_is_read(character: str) -> None:
    """A service that writes forbidden characters, or refers to them, loses no other name."""
    for written in (character, f"&#{ord(character)};", f"&#x{ord(character):x};"):
        body = f"<Contents><Key>log/{written}</Key></Contents>"
        body += f"<Contents><Key>{_HONEST}</Key></Contents><IsTruncated>false</IsTruncated>"
        answer = Answer(200, {}, f"<ListBucketResult>{body}</ListBucketResult>".encode())
        lister = Lister(partial(_always, answer), S3Form(encoded=False), Patience(0, 0))
        (page,) = lister.pages(Asked("log/"), Watch("it"))
        assert [item.name for item in page.items][1:] == [_HONEST]
        assert not is_plain(page.items[0].name)


def test_a_folder_of_a_hierarchical_account_is_no_object() -> None:
    """There, Blob Storage lists each directory beside the blobs in it."""
    made = "<Last-Modified>Sun, 01 Mar 2026 12:00:00 GMT</Last-Modified>"
    folder = "<ResourceType>directory</ResourceType>"
    blobs = "".join(
        f"<Blob><Name>{name}</Name><Properties>{what}</Properties></Blob>"
        for name, what in (("log/2026", folder), (_HONEST, made))
    )
    body = f"<Blobs>{blobs}</Blobs><NextMarker />"
    answer = Answer(200, {}, f"<EnumerationResults>{body}</EnumerationResults>".encode())
    (page,) = Lister(partial(_always, answer), BlobForm(), Patience(0, 0)).pages(
        Asked("log/"), Watch("it")
    )
    assert [item.name for item in page.items] == [_HONEST]


@pytest.mark.parametrize("name", ["", "log/x", "log//"])
def test_a_look_ends_whatever_is_in_the_way(name: str) -> None:
    """Objects under strange names count, too: no more pages are read than for others."""
    service = Service([f"{name}{number:04}" for number in range(1000)], "s3")
    objects = CloudObjects(Prefixless(), "s3://log")  # type: ignore[arg-type] # only its prefix is used
    objects._lister = Lister(service, S3Form(encoded=True), Patience(0, 0))
    look = objects.look("", 20)
    assert (look.whole, service.calls) == (False, 10)
    assert look.at == START
    assert len(look.entries) == (0 if name == "log//" else 20)
    assert objects.look("", 1000).whole


def test_of_a_large_object_only_the_beginning_is_read(place: Place) -> None:
    """Whoever may add to a place may add gigabytes under the name of a record."""
    place.log.put_new(f"{HOUR}large", bytes(range(256)) * 4096)
    assert place.log.get_up_to(f"{HOUR}large", 1000) == (bytes(range(256)) * 4)[:1000]
    assert place.log.get_up_to(f"{HOUR}large", 2**21) == bytes(range(256)) * 4096
    assert place.log.get_up_to(f"{HOUR}absent", 10) is None
    assert place.log.get_up_to(f"{HOUR}/large", 10) is None
    assert [entry.size for entry in place.log.entries(HOUR)] == [2**20]
