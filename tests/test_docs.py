"""The documentation's site: its links, its reference, what it loads; built strictly."""

from __future__ import annotations

import inspect
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest
from targets import ROOT

pytest.importorskip("sphinx", reason="no Sphinx here")

sys.path.insert(0, str(ROOT / "scripts"))

from documentation import building, checking, reference, sources

from live_kernel import cli, errors
from live_kernel.launcher import guards
from live_kernel.launcher.commands import COMMANDS
from live_kernel.link import limits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

READ_AS_THEY_ARE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("docs") / "site"
    building.build(place)
    return place


# -- the site


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert [*checking.faults(site)] == []


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """And each of docs/ is a page."""
    written = {page.relative_to(building.SOURCE) for page in building.SOURCE.rglob("*.md")}
    led_to = {link for link in checking.read(site / "index.html").leads if ".html" in link}
    missing = {str(page) for page in written if str(page.with_suffix(".html")) not in led_to}
    assert missing - {"index.md"} == set()


@pytest.mark.lab
def test_a_browser_asks_for_nothing_but_the_sites_own_files(site: Path) -> None:
    """In light and in dark, wide and narrow; and no page is wider than its window."""
    from lab import chromium

    asked: list[str] = []
    too_wide = []
    with chromium() as browser:
        for scheme, width in (("light", 1280), ("dark", 390)):
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": width, "height": 860}  # type: ignore[arg-type]
            )  # fmt: skip
            page.on("request", lambda request: asked.append(request.url))
            for file in sorted(site.rglob("*.html")):
                page.goto(file.as_uri())
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    too_wide.append((file.name, width))
            page.close()
    assert len(asked) > 100
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    assert too_wide == []


@pytest.mark.lab
def test_is_searched_without_a_server(site: Path) -> None:
    from lab import chromium, expect

    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{(site / 'search.html').as_uri()}?q=ptrace_scope")
        expect(page.locator("#search-results")).to_contain_text("A machine that does not permit it")
        page.close()


@pytest.mark.parametrize("path", READ_AS_THEY_ARE, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_are_right_where_the_files_are_read_as_they_are(path: Path) -> None:
    assert [*checking.faults_of_markdown(path, reference.fill)] == []


# -- the reference


class Text(HTMLParser):
    """What a reader sees of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self._parts: list[str] = []
        self.feed(page.read_text())
        self.words = " ".join("".join(self._parts).split())

    def handle_data(self, data: str) -> None:
        self._parts.append(data)


def said_on(site: Path, page: str) -> str:
    """What stands there, without quotation marks, which the site has made curly."""
    return plain(Text(site / "reference" / f"{page}.html").words)


def plain(text: str) -> str:
    return re.sub(r"[\u2018-\u201d\"'`]", "", " ".join(text.split()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_magic_is_in_it(site: Path, name: str) -> None:
    """With its usage, all of its help, and an anchor by which it is led to."""
    command, page = COMMANDS[name], said_on(site, "magics")
    assert plain(command.usage) in page
    help_text = inspect.cleandoc(command.__doc__ or "")
    for line in help_text.splitlines():
        assert plain(line) in page, line
    for word in command.words:
        assert plain(word) in page
    assert reference.anchor(name) in checking.read(site / "reference/magics.html").anchors


ALL = [*reference.every_command(cli.main)]


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_is_in_it(site: Path, path: tuple[str, ...]) -> None:
    """With each of its options, and what they are for."""
    command, page = dict(ALL)[path], said_on(site, "commands")
    assert f"command-{'-'.join(path)}" in checking.read(site / "reference/commands.html").anchors
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert plain(option.help or "") in page
            assert all(name in page for name in option.opts)


def test_all_commands_are_known_to_these_tests() -> None:
    assert {path[1] for path, _ in ALL if len(path) == 2} >= {"ps", "attach", "exec", "doctor"}


def test_every_variable_and_key_is_in_it(site: Path) -> None:
    page = said_on(site, "environment")
    package = "\n".join(path.read_text() for path in (ROOT / "live_kernel").rglob("*.py"))
    named = set(re.findall(r"\bLIVE_KERNEL_[A-Z_]*[A-Z]\b", package))
    assert {"LIVE_KERNEL_TARGET", "LIVE_KERNEL_JOURNAL_OUTPUT"} <= named
    for name in named:
        assert name in page, name
    for name, text in sources.variables().items():
        assert f"{name} {plain(text)}" in page or plain(text) in page
    assert {"XDG_STATE_HOME", "JPY_SESSION_NAME", "TMPDIR"} <= sources.variables_of_others().keys()
    for name in sources.variables_of_others():
        assert name in page, name
    for name, key in guards.KEYS.items():
        assert f"{name} {'true or false' if key.kind is bool else 'text'}" in page
        assert plain(key.meaning) in page
    for colour in guards.COLOURS:
        assert colour in page


def test_every_setting_of_jupyters_is_in_it(site: Path) -> None:
    page = said_on(site, "environment")
    settings = [
        (f"c.{owner.__name__}.{name}", trait.help)
        for owner in reference.configurables()
        for name, trait in owner.class_own_traits(config=True).items()
    ]
    assert "c.LiveKernel.enabled" in dict(settings)
    settings += [(n, p["description"]) for n, p in reference.panel_schema()["properties"].items()]
    for name, text in settings:
        assert name in page
        assert plain(text) in page


def test_every_error_is_in_it(site: Path) -> None:
    """With its exit status, what it means, and what is said to do about it."""
    page, anchors = said_on(site, "errors"), checking.read(site / "reference/errors.html").anchors
    classes = reference.error_classes()
    assert {errors.TargetBlocked, errors.ConfigBroken} <= set(classes)
    for error in classes:
        assert f"error-{error.__name__.lower()}" in anchors
        assert plain(inspect.getdoc(error) or "") in page
        assert f"Exit status {error.exit_code}; in tables and JSON: {error.kind}" in page
    assert "Let it go on: kill -CONT" in page, "the remedies of TargetStopped"
    assert "Start it again without that option." in page, (
        "those of DebuggingDisabled, by a function"
    )


def test_limits_are_in_it(site: Path) -> None:
    page = said_on(site, "magics")
    for name, limit in limits.DEFAULTS.items():
        assert (
            f"{name} {limits.MEANINGS[name].replace(chr(39), '')} {limits.written(limit)}" in page
        )


# -- the checks themselves


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html">x</a> <a href="c.html">x</a> <a href="b.html#here">x</a>'
        '<a href="b.html#there">x</a> <a href="http://example.org">x</a> <img src="no.png" alt="x">'
        '<img src="b.html"> <script src="https://example.org/x.js"></script>'
        "<style>p { background: url(//example.org/x.png) }</style>"
    )
    (tmp_path / "b.html").write_text('<p id="here">')
    (tmp_path / "c.css").write_text("@import 'https://example.org/c.css';")
    assert [*checking.faults(tmp_path)] == [
        "a.html: no.png is not there",
        "a.html: https://example.org/x.js is loaded from elsewhere",
        "a.html: //example.org/x.png is loaded from elsewhere",
        "a.html: the link to c.html leads nowhere",
        "a.html: the link to b.html#there: there is no such anchor",
        "a.html: the link to http://example.org is no https",
        "a.html: the picture b.html has no text",
        "c.css: https://example.org/c.css is loaded from elsewhere",
    ]


def test_a_variable_without_an_explanation_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.py").write_text('NAME = "LIVE_KERNEL_ONE"\n"""What it says."""\n')
    (tmp_path / "other.py").write_text('NAME = "LIVE_KERNEL_OTHER"\n')
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    sources._trees.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"LIVE_KERNEL_OTHER .*other\.py"):
            sources.variables()
    finally:
        sources._trees.cache_clear()
