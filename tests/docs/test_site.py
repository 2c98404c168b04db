"""The documentation site builds without a warning, and no link in it is dead."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import daena_kms
import pytest

ROOT = Path(__file__).parents[2]
#: What sphinx-build is given in the Makefile, but for the folders.
OPTIONS = ("-q", "-W", "--keep-going", "-n", "-b", "html")


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    places = ["-c", str(ROOT / "docs"), "-d", str(folder / "doctrees"), str(source)]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *OPTIONS, *places, str(folder / "site")],
        capture_output=True,
        text=True,
        check=False,
    )


class Page(HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and anchors."""
        del tag
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.append(value)
            if name in {"id", "name"} and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "site"


def test_every_document_has_a_page(site: Path) -> None:
    """None in docs/ is left out, and the front door leads to the first."""
    for path in (ROOT / "docs").glob("*.md"):
        assert (site / "docs" / f"{path.stem}.html").is_file(), path
    assert 'href="docs/index.html"' in (site / "index.html").read_text()


def test_no_link_is_dead(site: Path) -> None:
    """Whatever a page refers to within the site is there, the place on the page as well."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    dead = []
    for path, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme:
                continue
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            known = target not in pages or unquote(anchor) in {"", *pages[target].anchors}
            if not target.is_file() or not known:
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


def test_the_reader_s_machine_fetches_nothing_from_elsewhere(site: Path) -> None:
    """No script, style, font or picture comes from another host."""
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert '<script src="http' not in text, path
        assert 'stylesheet" href="http' not in text, path
        assert '<img src="http' not in text, path


@pytest.mark.parametrize("name", daena_kms.__all__)
def test_the_reference_holds_what_the_package_offers(site: Path, name: str) -> None:
    """Each public name is described once."""
    pages = "".join(path.read_text() for path in (site / "docs" / "reference").glob("*.html"))
    places = re.findall(rf'<dt [^>]*id="(daena_kms\.[a-z_.]*\b{name})"', pages)
    assert len(places) == 1, places


def test_the_first_page_of_the_reference_leads_to_the_others(site: Path) -> None:
    """It is that of the package, and has a link for whatever its text names."""
    index = (site / "docs" / "reference" / "index.html").read_text()
    assert re.findall(r'href="(\w+)\.html"', index.partition("<article")[2])[0] == "package"
    text = (site / "docs" / "reference" / "package.html").read_text()
    linked = {name.rpartition(".")[2] for name in re.findall(r'href="\w+\.html#([\w.]+)"', text)}
    assert linked >= set(re.findall(r":(?:func|class):`(\w+)`", daena_kms.__doc__ or ""))


#: What must fail a build, and how its warning names it.
DEAD = {
    "[dead](nowhere.md)": "nowhere",
    "[dead](#no-such-place)": "no-such-place",
    "```{eval-rst}\n:func:`daena_kms.engine.walk`\n```": "daena_kms.engine.walk",
}


def test_what_is_dead_fails_the_build(tmp_path: Path) -> None:
    """A link to no page, to no place, and to no name: each is named with the page it is on."""
    docs = tmp_path / "source" / "docs"
    docs.mkdir(parents=True)
    pages = {f"page-{number}": text for number, text in enumerate(DEAD)}
    for name, text in pages.items():
        (docs / f"{name}.md").write_text(f"# {name}\n\n{text}\n")
    listed = "\n".join(pages)
    # A link that works in a checkout fails no build.
    index = f"# Index\n\n[the folder](../docs)\n\n```{{toctree}}\n{listed}\n```\n"
    (docs / "index.md").write_text(index)

    done = build(tmp_path / "source", tmp_path)

    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    for name, text in pages.items():
        of_page = [line for line in warnings if f"{name}.md" in line]
        assert len(of_page) == 1, of_page
        assert DEAD[text] in of_page[0]
    assert len(warnings) == len(DEAD)
    page = Page(tmp_path / "site" / "docs" / "index.html")
    assert not any(link.endswith("../docs") for link in page.links)
