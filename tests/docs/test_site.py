"""The site builds in strict mode, loads nothing from another host, and has no broken link."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADING = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href", "audio": "src"}
"""The attribute that a browser fetches, by tag."""


class Read(HTMLParser):
    """The resources, links and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.leads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if (identity := given.get("id")) is not None:
            self.anchors.add(identity)
        if tag == "a" and (href := given.get("href")):
            self.leads.add(href)
        if (attribute := LOADING.get(tag)) and (url := given.get(attribute)) and given.get("rel") != "canonical":
            self.loads.add(url)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Read]:
    """All pages, parsed."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return {page.resolve(): Read(page) for page in folder.rglob("*.html") if page.name != "404.html"}


def test_no_page_loads_from_another_host(site: dict[Path, Read]) -> None:
    assert len(site) > 20
    assert not {url for page in site.values() for url in page.loads if urlsplit(url).netloc}
    styles = "".join(file.read_text() for page in site for file in page.parent.rglob("*.css"))
    assert "url(http" not in styles
    assert "@import" not in styles
    assert not [page for page in site if "mermaid" in page.read_text()]  # the theme would fetch mermaid from a CDN


def test_every_link_has_a_target(site: dict[Path, Read]) -> None:
    broken = [f"{page.name}: {link}" for page, read in site.items() for link in read.leads if _broken(site, page, link)]
    assert not broken


def _broken(site: dict[Path, Read], page: Path, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc:
        return url.scheme not in ("http", "https")
    to = (page.parent / unquote(url.path)).resolve() if url.path else page
    if to.is_dir():
        to /= "index.html"
    return not to.exists() or bool(url.fragment and to in site and unquote(url.fragment) not in site[to].anchors)


def test_the_reference_pages_match_the_code(site: dict[Path, Read]) -> None:
    pages = {f"{page.parent.name}/{page.stem}": page.read_text() for page in site}
    assert "REASONMED_KAFKA__SASL_MECHANISM" in pages["reference/settings"]
    assert "REASONMED_ADMISSION__NEAR_DUPLICATES" in pages["reference/settings"]
    assert "question-refused" in pages["reference/topics"]
    assert "reasonmed budget set" in pages["reference/commands"]
