"""What could be wrong with pages that are built: links to nowhere, and things from elsewhere.

Pure but for reading the files. Rule: a page loads nothing that is not in the site; a link leads to
a file that is there, and to an anchor in it; one that leaves the site is https, and stays a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING = {
    ("img", "src"), ("img", "srcset"), ("script", "src"), ("source", "src"), ("source", "srcset"),
    ("iframe", "src"), ("embed", "src"), ("object", "data"), ("video", "src"), ("audio", "src"),
    ("video", "poster"), ("link", "href"), ("input", "src"), ("use", "href"), ("image", "href"),
}  # fmt: skip
"""Attributes whose file a browser fetches by itself."""

_NOT_LOADED = ("next", "prev", "index", "search", "author", "genindex", "canonical")
"""Kinds of <link> that are followed by people only."""

_IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@dataclass
class Page:
    """What stands in an HTML file: `loads` and `leads` are addresses as they are written there."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)
    leads: list[str] = field(default_factory=list)
    without_text: list[str] = field(default_factory=list)
    """Pictures that say nothing to who can't see them."""


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._is_style = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self._is_style = tag == "style"
        self._page.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        is_followed = tag == "a" or (tag == "link" and found.get("rel") in _NOT_LOADED)
        if is_followed and "href" in found:
            self._page.leads.append(found["href"])
        else:
            self._page.loads += [found[n] for n in found if (tag, n) in _LOADING]
        if tag == "img" and not found.get("alt"):
            self._page.without_text.append(found.get("src", ""))
        self._page.loads += _in_style(found.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._is_style:
            self._page.loads += _in_style(data)


def _in_style(text: str) -> list[str]:
    return [one or other for one, other in _IN_STYLE.findall(text)]


@cache
def read(path: Path) -> Page:
    """The page in this file."""
    page = Page(path)
    _Reader(page).feed(path.read_text())
    return page


def faults(site: Path) -> Iterator[str]:
    """All that is wrong, one line each."""
    read.cache_clear()
    for path in sorted(site.rglob("*.html")):
        page = read(path)
        name = path.relative_to(site)
        for address in page.loads:
            yield from (f"{name}: {fault}" for fault in _loaded(site, path, address))
        for address in page.leads:
            yield from (f"{name}: {fault}" for fault in _led(site, path, address))
        yield from (f"{name}: the picture {each} has no text" for each in page.without_text)
    for path in sorted(site.rglob("*.css")):
        for address in _in_style(path.read_text()):
            yield from (f"{path.relative_to(site)}: {f}" for f in _loaded(site, path, address))


def _loaded(site: Path, path: Path, address: str) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        yield f"{address} is loaded from elsewhere"
    elif address.startswith("#"):
        if address[1:] not in read(path).anchors:
            yield f"there is no {address} to be drawn"
    elif not _file(site, path, parts.path).is_file():
        yield f"{address} is not there"


def _led(site: Path, path: Path, address: str) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if parts.scheme != "https":
            yield f"the link to {address} is no https"
        return
    file = _file(site, path, parts.path) if parts.path else path
    if file.is_dir():
        file /= "index.html"
    if not file.is_file():
        yield f"the link to {address} leads nowhere"
    elif parts.fragment and unquote(parts.fragment) not in read(file).anchors:
        yield f"the link to {address}: there is no such anchor"


def _file(site: Path, path: Path, relative: str) -> Path:
    base = site if relative.startswith("/") else path.parent
    return (base / unquote(relative).lstrip("/")).resolve()


# -- Markdown that is read where the code is

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_TARGET = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
_FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)


def faults_of_markdown(path: Path, fill: Callable[[str], str]) -> Iterator[str]:
    """Links to files or headings that are not there; `fill` adds to a page what is made for it."""
    for address in _LINK.findall(_FENCE.sub("", path.read_text())):
        parts = urlsplit(address)
        if parts.scheme:
            continue
        file = (path.parent / unquote(parts.path)) if parts.path else path
        if not file.exists():
            yield f"{path.name}: {address} is not there"
        elif parts.fragment and parts.fragment not in headings(fill(file.read_text())):
            yield f"{path.name}: {address}: there is no such heading"


def headings(text: str) -> set[str]:
    """The anchors of a Markdown text, as those who show it make them of its headings."""
    text = _FENCE.sub("", text)
    return {_slug(heading) for heading in _HEADING.findall(text)} | set(_TARGET.findall(text))


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")
