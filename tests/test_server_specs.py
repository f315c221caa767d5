"""What is beneath the extension, without a server: kernelspecs of managers of several kinds, what
is remembered, what programs are called, and which is like another.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from loading import loaded_by
from targets import ROOT, Target, eventually

from live_kernel.attach import naming
from live_kernel.attach.processes import Candidate, Process
from live_kernel.errors import NotAttachable, TargetNotFound
from live_kernel.launcher import arguments, choosing, likeness
from live_kernel.launcher.choosing import MEANT, Choice, from_kernelspec
from live_kernel.server import remembered, specs
from live_kernel.server.listing import Listing
from live_kernel.server.remembered import MOST, Record, Remembered
from live_kernel.server.specs import LiveSpecs

BASE = ROOT / "kernelspec"


class Stock(KernelSpecManager):
    """The usual manager, which finds nothing but what is given to it."""

    def _kernel_dirs_default(self) -> list[str]:
        return []

    def find_kernel_specs(self) -> dict[str, str]:
        return {"live-attach": str(BASE)}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        if kernel_name not in self.find_kernel_specs():
            raise NoSuchKernel(kernel_name)
        return KernelSpec.from_resource_dir(str(BASE))


class Asking(Stock):
    """One whose answers are made of each other."""

    def get_all_specs(self) -> dict[str, Any]:
        names = self.find_kernel_specs()
        return {
            name: {"resource_dir": place, "spec": self.get_kernel_spec(name).to_dict()}
            for name, place in names.items()
        }


class Waiting(Stock):
    """One that answers later, as managers of remote kernels do."""

    async def get_all_specs(self) -> dict[str, Any]:  # type: ignore[override]
        await asyncio.sleep(0)
        names = await self._names()
        return {name: {"resource_dir": str(BASE), "spec": self._spec()} for name in names}

    async def _names(self) -> dict[str, str]:
        found: Any = self.find_kernel_specs()
        return await found if inspect.isawaitable(found) else found

    def _spec(self) -> dict[str, Any]:
        return KernelSpec.from_resource_dir(str(BASE)).to_dict()

    async def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().get_kernel_spec(kernel_name)


class Nothing(Stock):
    def find_kernel_specs(self) -> dict[str, str]:
        return {}


@pytest.fixture
def known(tmp_path: Path) -> Remembered:
    return Remembered(tmp_path / "live-kernel")


@pytest.fixture
def listing() -> Iterator[Listing]:
    listing = Listing(0.1)
    yield listing
    listing.close()


def wrapped(
    manager: KernelSpecManager, listing: Listing, known: Remembered, most: int = 1000
) -> LiveSpecs:
    live = LiveSpecs(manager, known, most, 5, re.compile(""))
    live.wrap(listing)
    return live


async def awaited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


@pytest.mark.parametrize("kind", [Stock, Asking, Waiting])
def test_every_kind_of_manager_lists_them(
    kind: type[KernelSpecManager], listing: Listing, known: Remembered
) -> None:
    manager = kind()
    wrapped(manager, listing, known)
    assert type(manager) is kind
    with Target("idle") as target:
        name = f"live-attach-{target.pid}"

        async def ask() -> tuple[Any, Any, Any]:
            every = await awaited(manager.get_all_specs())
            names = await awaited(manager.find_kernel_specs())
            return every, names, await awaited(manager.get_kernel_spec(name))

        every, names, spec = asyncio.run(ask())
    assert next(iter(every)) == next(iter(names)) == "live-attach"
    assert names[name] == every[name]["resource_dir"] == str(BASE)
    assert every[name]["spec"] == spec.to_dict()
    assert spec.resource_dir == str(BASE)
    assert every["live-attach"]["spec"]["display_name"] == "Attach to PID"


def test_who_can_not_wait_gets_what_is_known(listing: Listing, known: Remembered) -> None:
    manager = Stock()
    wrapped(manager, listing, known)
    with Target("idle") as target:
        name = f"live-attach-{target.pid}"
        eventually(lambda: name in manager.get_all_specs(), what="a look has been taken")
        assert name in manager.find_kernel_specs()
        assert json.dumps(manager.get_all_specs())


def test_nobody_waits_for_a_look(known: Remembered, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never ends is on a thread of its own."""
    listing = Listing(0.1)
    goes_on = []
    monkeypatch.setattr(listing, "_look", lambda: [goes_on.append(1), time.sleep(0.5)])
    manager = Stock()
    wrapped(manager, listing, known)
    begun = time.perf_counter()
    for _ in range(20):
        assert list(manager.get_all_specs()) == ["live-attach"]
    assert time.perf_counter() - begun < 0.5
    assert len(goes_on) <= 1
    listing.close()


def test_a_manager_that_does_not_offer_the_kernel(listing: Listing, known: Remembered) -> None:
    manager = Nothing()
    live = wrapped(manager, listing, known)
    with Target("idle") as target:
        listing.begin().result()
        assert manager.find_kernel_specs() == {}
        assert asyncio.run(awaited(manager.get_all_specs())) == {}
        with pytest.raises(NoSuchKernel):
            manager.get_kernel_spec(f"live-attach-{target.pid}")
        assert not live.is_offered()


@pytest.mark.parametrize("kind", [Stock, Waiting])
def test_other_names_are_the_managers_own(
    kind: type[KernelSpecManager], listing: Listing, known: Remembered
) -> None:
    manager = kind()
    wrapped(manager, listing, known)
    for name in ("python3", "live-attach-", "live-attach-x", "live-attach-0", "Live-attach-1", ""):
        with pytest.raises(NoSuchKernel):
            asyncio.run(awaited(ask_for(manager, name)))


async def ask_for(manager: KernelSpecManager, name: str) -> Any:
    return await awaited(manager.get_kernel_spec(name))


def test_a_manager_gets_its_own_answers_back(listing: Listing, known: Remembered) -> None:
    manager = Stock()
    before = manager.get_all_specs()
    live = wrapped(manager, listing, known)
    with Target("idle"):
        listing.begin().result()
        assert len(manager.get_all_specs()) > 1
        live.unwrap()
        assert manager.get_all_specs() == before


def test_what_a_user_has_changed_of_the_kernel_holds(
    listing: Listing, known: Remembered, tmp_path: Path
) -> None:
    """His kernel.json, with variables and another interpreter."""

    class Changed(Stock):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            spec = super().get_kernel_spec(kernel_name)
            spec.env = {"MINE": "1"}
            spec.argv = ["/opt/python", *spec.argv[1:]]
            return spec

    manager = Changed()
    wrapped(manager, listing, known)
    with Target("idle") as target:
        spec = manager.get_kernel_spec(f"live-attach-{target.pid}")
    assert spec.argv[0] == "/opt/python"
    assert spec.env["MINE"] == "1"
    assert manager.get_kernel_spec("live-attach").env == {"MINE": "1"}


def test_of_many_alike_a_few_come_first(listing: Listing, known: Remembered) -> None:
    """Two hundred workers do not hide the one service beside them."""
    manager = Stock()
    wrapped(manager, listing, known, most=4)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Target("asleep"))
        many = [stack.enter_context(Target("idle", args=["many"])) for _ in range(6)]
        listing.begin().result()
        listed = [name for name in manager.get_all_specs() if name != "live-attach"]
        assert len(listed) == 4
        assert len({f"live-attach-{each.pid}" for each in many} & set(listed)) <= 3


# -- what is remembered


def record(name: str = "live-attach-42", **more: Any) -> Record:
    told = {"pid": 42, "start_time": 7, "boot": remembered.boot(), "command": ("python", "app.py")}
    return Record(**{"name": name, **told, "title": "app", "path": "", "used": 1.0, **more})


def test_is_remembered_over_the_servers_end(known: Remembered, tmp_path: Path) -> None:
    assert known.get("live-attach-42") is None
    known.keep([record(path="/home/ann/a.ipynb")])
    again = Remembered(tmp_path / "live-kernel")
    assert again.get("live-attach-42") == record(path="/home/ann/a.ipynb")
    file = tmp_path / "live-kernel" / "programs.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    again.keep([record(used=2.0)])
    kept = known.get("live-attach-42")
    assert kept is not None
    assert kept.path == "/home/ann/a.ipynb", "a console of the same program leaves the notebook's"
    again.keep([record(start_time=8)])
    kept = known.get("live-attach-42")
    assert kept is not None
    assert kept.path == "", "another program's notebook is not its"


def test_the_file_is_bounded(known: Remembered, tmp_path: Path) -> None:
    words = tuple("x" * 100 for _ in range(1000))
    told = {"kernelspec": "n", **record()._asdict(), "command": list(remembered.within(words))}
    one = remembered.of(told, "")
    assert one is not None
    assert sum(map(len, one.command)) <= 4000
    known.keep([one._replace(name=f"live-attach-{n}", used=float(n)) for n in range(2 * MOST)])
    file = tmp_path / "live-kernel" / "programs.json"
    assert file.stat().st_size <= 1 << 19
    kept = known.all()
    assert 50 < len(kept) <= MOST
    assert f"live-attach-{2 * MOST - 1}" in kept, "the one used last"
    assert "live-attach-0" not in kept


@settings(deadline=None)  # it writes files, and the machine may be busy
@given(st.one_of(st.text(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(Record._fields), inner),
).map(json.dumps)))  # fmt: skip
def test_what_the_file_can_not_mean_is_nothing(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "programs.json").write_text(text, encoding="utf-8", errors="replace")
        known = Remembered(Path(directory))
        assert all(isinstance(each, Record) for each in known.all().values())
        known.keep([record()])
        assert known.get("live-attach-42") == record()


def test_a_file_that_others_may_write_to_is_not_believed(known: Remembered, tmp_path: Path) -> None:
    known.keep([record()])
    file = tmp_path / "live-kernel" / "programs.json"
    file.chmod(0o666)
    assert Remembered(file.parent).get("live-attach-42") is None


def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    known = Remembered(tmp_path / "in-the-way" / "live-kernel")
    known.keep([record()])
    assert known.all() == {}


def test_servers_of_one_user_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = Remembered(tmp_path), Remembered(tmp_path)
    for number in range(10):
        (one, other)[number % 2].keep([record(f"live-attach-{number}", used=float(number))])
    assert len(one.all()) == len(other.all()) == 10


def test_a_program_of_an_earlier_boot_is_gone(listing: Listing, known: Remembered) -> None:
    """Its pid and its moment may come again."""
    with Target("idle") as target:
        live = LiveSpecs(Stock(), known, 20, 5, re.compile(""))
        present = live.meant(f"live-attach-{target.pid}")
        assert present.start_time is not None
        mine = record(f"live-attach-{target.pid}", pid=target.pid, start_time=present.start_time)
        known.keep([mine])
        assert live.name_of(target.pid, present.start_time) == mine.name
        known.keep([mine._replace(boot="another")])
        other = live.name_of(target.pid, present.start_time)
        assert other == f"{mine.name}-{present.start_time}"
        assert live.meant(other).command == present.command
        assert live.meant(mine.name).command == mine.command
        live.wrap(listing)
        argv = live._manager.get_kernel_spec(mine.name).argv
        assert argv[-2:] == ["--start-time", "0"]


# -- what programs are called


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python orders-service.py --port 80", "orders-service"),
        ("/usr/bin/python3.14 -X dev -W error -u /srv/orders/worker.py", "worker"),
        ("python -Xdev -Im orders.service --port 80", "orders.service"),
        ("python -m orders.__main__", "orders"),
        ("python /srv/billing/main.py", "billing/main"),
        ("python main.py", "home/main"),
        ("python manage.py runserver", "home/manage"),
        ("/venv/bin/python /venv/bin/uvicorn shop.main:app --port 80", "uvicorn shop.main:app"),
        ("python -m uvicorn --reload shop:app", "uvicorn shop:app"),
        ("gunicorn -w 4 shop:create_app()", "gunicorn shop:create_app()"),
        ("celery -A mail worker", "celery mail"),
        ("python -c pass", "python -c"),
        ("python3 -", "-"),
        ("python", "python"),
        ("/opt/app/bin/embedding --flag", "embedding"),
        ("python train.pyz", "train"),
        ("python " + "x" * 100 + ".py", "x" * 39 + "…"),
    ],
)  # fmt: skip
def test_what_a_program_is_called(command: str, name: str) -> None:
    assert naming.short_name(command.split(" "), "python3.14", "/home") == name


def test_odd_names() -> None:
    named_itself = "gunicorn: worker [billing]"
    assert naming.short_name([named_itself], "gunicorn") == named_itself
    assert naming.short_name([], "kworker") == "kworker"
    assert naming.short_name([], "") == "a program"
    spawned = ["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(1)", "--x"]
    assert naming.short_name(spawned) == "multiprocessing worker"
    assert naming.short_name(["python", "a\x1b]0;b\x07.py"]).isprintable()


@given(st.lists(st.text(), max_size=6), st.text(), st.text())
def test_every_command_line_has_a_name(command: list[str], name: str, cwd: str) -> None:
    found = naming.short_name(command, name, cwd)
    assert 0 < len(found) <= naming.LONGEST
    assert found.isprintable()


# -- which program is like another


def candidate(pid: int, command: str, parent: int = 1, error: bool = False) -> Candidate:
    where = ("python", tuple(command.split()), "", "/srv", 0, 0, "root", "S", "CPython")
    why = NotAttachable(pid, "no") if error else None
    return Candidate(Process(pid, pid, parent, *where), why)


def ranked(command: str, *there: Candidate) -> tuple[list[int], int | None]:
    found = likeness.rank(there, command.split())
    return [each.process.pid for each in found.candidates], found.best and found.best.pid


def test_the_same_command_line_comes_first() -> None:
    there = (
        candidate(30, "python other.py"),
        candidate(20, "python orders.py --port 81"),
        candidate(10, "python orders.py --port 80"),
    )
    assert ranked("python orders.py --port 80", *there) == ([10, 20, 30], 10)
    assert ranked("python orders.py --port 82", *there[:2]) == ([20, 30], 20)
    assert ranked("/usr/bin/python3 /srv/orders.py", *there)[1] in (10, 20)


def test_of_a_pool_the_one_that_has_started_the_others() -> None:
    there = [candidate(n, "gunicorn shop:app", parent=10) for n in (13, 12, 11)]
    assert ranked("gunicorn shop:app", *there, candidate(10, "gunicorn shop:app"))[1] == 10


def test_what_is_not_like_it_is_listed_and_not_offered() -> None:
    assert ranked("python orders.py", candidate(30, "python other.py")) == ([30], None)
    assert ranked("python orders.py") == ([], None)
    closed = candidate(40, "python orders.py", error=True)
    assert ranked("python orders.py", closed, candidate(30, "python b.py")) == ([30, 40], None)
    assert ranked("", candidate(1, "python b.py"), candidate(2, "python a.py")) == ([1, 2], None)


def test_where_the_name_is_all_that_is_known() -> None:
    there = candidate(30, "python other.py"), candidate(20, "python orders.py --port 81")
    assert ranked("orders", *there) == ([20, 30], 20)
    assert ranked("billing", *there)[1] is None


# -- what the launcher makes of it


def told(pid: int = 42, **more: Any) -> dict[str, str]:
    return {
        MEANT: json.dumps(
            {"kernelspec": f"live-attach-{pid}", "pid": pid, "title": "app",
             "command": ["python", "app.py"], "remembered": True, **more}
        )
    }  # fmt: skip


GIVEN = Choice("42", "--pid", 7)


def test_a_kernelspec_tells_of_its_program() -> None:
    choice = from_kernelspec(GIVEN, told())
    assert choice is not None
    assert (choice.text, choice.start_time, choice.command) == ("42", 7, ("python", "app.py"))
    assert from_kernelspec(GIVEN, told(43)) == GIVEN, "of another pid it is not believed"
    assert from_kernelspec(None, told()) is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "null", '{"pid": "42"}', "[" * 99999])
def test_what_it_tells_is_nothing_where_it_makes_no_sense(text: str) -> None:
    assert from_kernelspec(GIVEN, {MEANT: text}) == GIVEN


def test_an_odd_command_line_is_none() -> None:
    for command in (None, 1, "python", {}, [[]], [1]):
        choice = from_kernelspec(GIVEN, told(command=command))
        assert choice is not None
        assert choice.command == ()


@pytest.mark.parametrize(
    ("display", "remembered_", "start_time"),
    [
        ("app · pid 42", False, 7),
        ("app (ended) · pid 42", False, 7),
        ("billing · pid 42", False, 0),
        ("billing · pid 42", True, 7),
        ("", False, 7),
    ],
)
def test_a_notebook_that_was_with_another_program(
    tmp_path: Path, display: str, remembered_: bool, start_time: int
) -> None:
    notebook = tmp_path / "a.ipynb"
    spec = {"name": "live-attach-42", "display_name": display}
    notebook.write_text(json.dumps({"metadata": {"kernelspec": spec}}))
    environment = told(remembered=remembered_) | {"JPY_SESSION_NAME": str(notebook)}
    choice = from_kernelspec(GIVEN, environment)
    assert choice is not None
    assert choice.start_time == start_time
    if start_time == 0:
        assert choice.command == ("billing",)


def test_what_has_ended_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = from_kernelspec(Choice("4194305", "--pid", 7), told(4194305))
    assert choice is not None
    with pytest.raises(TargetNotFound) as caught:
        choice.resolve()
    assert str(caught.value) == "This kernel's program: pid 4194305 (python app.py) has ended"
    assert "%attach" in caught.value.remedy


def test_the_command_line_takes_the_moment_of_its_start() -> None:
    parsed = arguments.parse(["-f", "x", "--pid", "42", "--start-time", "7"])
    assert parsed.choice == GIVEN
    for words in (["--start-time", "7"], ["--pid", "42", "--start-time", "x"],
                  ["--match", "a", "--start-time", "7"]):  # fmt: skip
        with pytest.raises(arguments.UsageError):
            arguments.parse(["-f", "x", *words])


def test_what_a_restart_remembers_knows_the_command_line(tmp_path: Path) -> None:
    memory = choosing.Memory(tmp_path / "kernel-1.json")
    process = candidate(4194305, "python app.py --x").process
    memory.remember(process, "4194305", pinned=True)
    choice = memory.recall(pinned=True)
    assert choice is not None
    assert choice.command == ("python", "app.py", "--x")
    with pytest.raises(TargetNotFound, match=r"pid 4194305 \(python app.py --x\) has ended"):
        choice.resolve()


def test_the_variable_survives_jupyters_substitution(listing: Listing, known: Remembered) -> None:
    """`env` of a kernelspec is a template for the server's own variables."""
    from string import Template

    manager = Stock()
    wrapped(manager, listing, known)
    with Target("idle", args=["$HOME ${HOME} $$ {connection_file}"]) as target:
        spec = manager.get_kernel_spec(f"live-attach-{target.pid}")
        given = json.loads(Template(spec.env[MEANT]).safe_substitute(os.environ))
        assert given["command"][-1] == "$HOME ${HOME} $$ {connection_file}"
        assert specs.told_by(spec) == given
    assert specs.told_by(manager.get_kernel_spec("live-attach")) is None


def test_nothing_is_loaded_of_jupyter_server_but_by_itself() -> None:
    """It is no dependency of the kernel."""
    loaded = loaded_by("import live_kernel.cli, live_kernel.launcher.kernel, live_kernel.handle")
    assert "live_kernel.launcher.kernel" in loaded
    assert not loaded & {"jupyter_server", "tornado.web"}
