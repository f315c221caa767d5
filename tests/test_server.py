"""The extension in a Jupyter Server that runs: who may ask, what is answered, what is opened.

Asked over HTTP, as front-ends do it; the page itself is tested in `test_server_page.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from servers import Server
from snapshots import Program
from targets import Target, eventually

pytestmark = pytest.mark.timeout(120)

API = "live-kernel/api/"

ORDERS = f"the-orders-{os.getpid()}"
"""What stands on no command line but ours, however many run these tests."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def connected(server: Server, session: dict[str, Any]) -> BlockingKernelClient:
    """A client of the session's kernel, by its connection file."""
    file = server.home / "runtime" / f"kernel-{session['kernel']['id']}.json"
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=20)
    return client


def run(client: BlockingKernelClient, code: str, answers: list[str] | None = None) -> str:
    """Run a cell; all that it shows, its error included. `answers`: to what it asks."""
    shown: list[str] = []

    def on_output(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown.append(content["text"])
        elif "data" in content:
            shown.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            shown.append("\n".join(content["traceback"]))

    def on_question(message: dict[str, Any]) -> None:
        assert answers, "it asks"
        shown.append(message["content"]["prompt"])
        client.input(answers.pop(0))

    client.execute_interactive(
        code,
        allow_stdin=answers is not None,
        output_hook=on_output,
        stdin_hook=on_question,
        timeout=20,
    )
    return "\n".join(shown)


def run_once(server: Server, kernelspec: str, code: str, answers: list[str] | None = None) -> str:
    with server.session(kernelspec) as session:
        client = connected(server, session)
        try:
            return run(client, code, answers)
        finally:
            client.stop_channels()


# -- who may ask


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "live-kernel"),
        ("GET", "live-kernel/"),
        ("GET", f"{API}processes"),
        ("GET", f"{API}processes/1"),
        ("GET", f"{API}kernels"),
        ("POST", f"{API}open"),
    ],
)
def test_nobody_is_answered_without_the_token(server: Server, method: str, path: str) -> None:
    with server.client(token=False) as client:
        answer = client.request(method, path)
        assert answer.status_code in (302, 403)
        assert answer.status_code == 403 or "login" in answer.headers["Location"]
        assert "pid" not in answer.text
        wrong = client.request(method, path, headers={"Authorization": "token wrong"})
        assert wrong.status_code in (302, 403)


def test_a_cookie_alone_opens_nothing(server: Server, program: Program) -> None:
    """Another site may have the browser send cookies; it does not know the token beside them."""
    wanted = {"pid": program.pid}
    with server.client(token=False) as client:
        assert client.get("live-kernel", params={"token": server.token}).status_code == 200
        assert client.get(f"{API}processes").status_code == 200
        assert client.post(f"{API}open", json=wanted).status_code == 403
        foreign = {"Origin": "http://elsewhere.example", "X-XSRFToken": client.cookies["_xsrf"]}
        assert client.post(f"{API}open", json=wanted, headers=foreign).status_code in (403, 404)
        assert client.get(f"{API}processes", headers=foreign).status_code in (403, 404)
        known = {"X-XSRFToken": client.cookies["_xsrf"]}
        assert client.post(f"{API}open", json=wanted, headers=known).status_code == 200


def test_an_authorizer_is_asked(program: Program, tmp_path: Path) -> None:
    """One that lets people read kernels, and neither run nor write anything."""
    (tmp_path / "reading.py").write_text(
        "from jupyter_server.auth import Authorizer\n"
        "class Reading(Authorizer):\n"
        "    def is_authorized(self, handler, user, action, resource):\n"
        "        return action == 'read'\n"
    )
    config = {"ServerApp": {"authorizer_class": "reading.Reading"}}
    with Server(config=config, environment={"PYTHONPATH": str(tmp_path)}) as server:
        assert server.process(program)["attachable"]
        assert server.post(f"{API}open", {"pid": program.pid}).status_code == 403
        assert not list(server.notebooks.glob("*.ipynb"))


# -- what is answered


def test_a_process_as_it_is_listed(server: Server) -> None:
    with Program("idle", args=["--port", "8000"]) as program:
        found = server.process(program)
        assert found["name"] == "idle"
        assert found["command"].endswith("idle.py --port 8000")
        assert found["python"].startswith("3.14.")
        assert found["memory"] > 1_000_000
        assert found["threads"] >= 1
        assert found["cpu"] >= 0
        assert (found["attachable"], found["reason"], found["remedy"]) == (True, None, None)
        assert set(found["guard"]) == {"observe", "confirm", "idle", "idle_by", "banner", "colour"}
        assert found["kernelspec"] == f"live-attach-{program.pid}"
        assert found["kernels"] == []
        assert {"cwd", "exe", "environ"}.isdisjoint(found)
        again = server.get(f"processes/{program.pid}")
        assert again["children"] == []
        assert again["started"] == found["started"]


def test_what_it_has_used_is_counted_between_two_looks(server: Server) -> None:
    with Program("idle") as idle, Target("busy") as busy:
        server.process(busy)
        eventually(lambda: server.process(busy)["cpu"] > 20, what="it is seen to work", every=0.3)
        assert server.process(idle)["cpu"] < server.process(busy)["cpu"]


def test_what_can_not_be_attached_to_is_listed_on_request(server: Server) -> None:
    with Program("idle", options=["-X", "disable-remote-debug"]) as program:
        usual = server.get("processes")["processes"]
        assert program.pid not in [each["pid"] for each in usual]
        found = server.process(program)
        assert not found["attachable"]
        assert "remote debugging switched off" in found["reason"]
        assert found["remedy"] == "Start it again without that option."
        assert f"live-attach-{program.pid}" not in server.specs()
        answer = server.post(f"{API}open", {"pid": program.pid})
        assert answer.status_code == 409
        assert answer.json()["remedy"] == found["remedy"]


def test_a_process_that_has_gone(server: Server) -> None:
    with server.client() as client:
        for path in ("processes/4194305", "processes/999999999"):
            answer = client.get(f"{API}{path}")
            assert answer.status_code == 404
            assert "no process has pid" in answer.json()["message"]
            assert answer.json()["remedy"]
    answer = server.post(f"{API}open", {"pid": 4194305})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"pid": "1"}, {"pid": True}, {"pid": 1, "kind": "shell"},
     {"pid": 1, "kind": "notebook", "directory": 1}],
)  # fmt: skip
def test_nonsense_is_refused(server: Server, content: object) -> None:
    assert server.post(f"{API}open", content).status_code == 400


def test_its_children_are_told(server: Server) -> None:
    with Target("prefork") as program:
        children = eventually(lambda: server.get(f"processes/{program.pid}")["children"])
        assert all(Path(f"/proc/{child}").exists() for child in children)


def test_what_a_process_calls_itself_harms_nobody(server: Server) -> None:
    name = "<img src=x onerror=alert(1)>\x1b]0;taken\x07\u202e{connection_file}$HOME"
    with Program("idle", args=[name]) as program:
        found = server.process(program)
        assert "<img src=x onerror=alert(1)>" in found["command"]
        assert found["command"].isprintable()
        spec = server.specs()[found["kernelspec"]]["spec"]
        assert spec["metadata"]["live_kernel"]["command"].isprintable()
        assert "{connection_file}" not in " ".join(spec["argv"][7:])
        assert "total" in run_once(server, found["kernelspec"], "total")


@pytest.mark.root
def test_of_another_users_process_no_more_is_told_than_ps_tells(server: Server) -> None:
    """The server runs as root here, which `ps` shows all; for others see `test_second_user.py`."""
    with server.client() as client:
        answer = client.get(f"{API}processes/1").json()
    assert set(answer) == {
        "pid", "started", "name", "command", "user", "python", "cpu", "memory", "threads",
        "attachable", "reason", "remedy", "guard", "kernelspec", "kernels", "children",
    }  # fmt: skip


def test_what_guards_say_is_listed(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[[guard]]\nmatch = "for-guards"\nbanner = "PRODUCTION: orders"\nconfirm = true\n'
    )
    environment = {"LIVE_KERNEL_CONFIG": str(config)}
    with Program("idle", args=["for-guards"]) as program, Server(environment=environment) as server:
        found = server.process(program)
        assert found["name"] == "idle"
        assert found["guard"]["banner"] == "PRODUCTION: orders"
        assert found["guard"]["colour"] == "red"
        assert found["guard"]["confirm"]
        spec = server.specs()[found["kernelspec"]]["spec"]
        assert spec["display_name"] == f"PRODUCTION: orders · pid {program.pid}"

        config.write_text("[[guard]]\nmatsch = 1")
        warning = eventually(lambda: server.get("processes")["warning"], what="a warning")
        assert "matsch" in warning["message"]
        assert warning["remedy"]


# -- kernelspecs, and the kernels that they start


def test_a_kernelspec_is_there_as_long_as_its_process(server: Server) -> None:
    with Program("idle") as program:
        name = f"live-attach-{program.pid}"
        server.process(program)  # a look for others, from before it began, may be fresh enough
        found = server.specs()
        spec = found[name]["spec"]
        assert spec["display_name"] == f"idle · pid {program.pid}"
        told = spec["metadata"]["live_kernel"]
        assert told["pid"] == program.pid
        assert told["command"].endswith("idle.py")
        assert told["started"] == server.process(program)["started"]
        assert spec["metadata"]["supported_encryption"] == ["curve"]
        base = found["live-attach"]["spec"]
        assert spec["argv"][: len(base["argv"])] == base["argv"]
        names = list(found)
        assert names.index("live-attach") < names.index(name)
        with server.client() as client:
            one = client.get(f"api/kernelspecs/{name}").json()
            assert one["spec"] == spec
            assert client.get(found[name]["resources"]["logo-svg"]).status_code == 200
    eventually(lambda: name not in server.specs(), what="it is listed no more", every=0.2)


@pytest.mark.attach
def test_a_kernel_attaches_to_the_process_of_its_card(server: Server, program: Program) -> None:
    before = program.snapshot()
    name = server.process(program)["kernelspec"]
    with server.session(name) as session:
        client = connected(server, session)
        assert "[<Order 1>, <Order 2>]" in run(client, "orders")
        kernel = eventually(
            lambda: next((k for k in server.get("kernels")["kernels"] if k["pid"]), None),
            what="the kernel says where it is",
            every=0.2,
        )
        assert kernel["id"] == session["kernel"]["id"]
        assert (kernel["state"], kernel["pid"]) == ("attached", program.pid)
        assert (kernel["name"], kernel["path"]) == ("idle", "Untitled.ipynb")
        assert server.process(program)["kernels"] == [kernel["id"]]
        run(client, "%detach")
        eventually(lambda: server.process(program)["kernels"] == [], every=0.2)
        client.stop_channels()
    eventually(lambda: server.get("kernels")["kernels"] == [], every=0.2)
    eventually(lambda: not server.launchers(), what="no launcher is left")
    program.assert_unharmed_since(before)


def states(server: Server) -> list[str]:
    return [each["state"] for each in server.get("kernels")["kernels"]]


@pytest.mark.attach
def test_a_kernel_of_the_usual_kernelspec_is_told_too(server: Server, program: Program) -> None:
    with server.session("live-attach") as session:
        client = connected(server, session)
        eventually(lambda: states(server) == ["detached"], what="it is detached", every=0.2)
        run(client, f"%attach {program.pid}")
        told = eventually(lambda: server.process(program)["kernels"], every=0.2)
        assert told == [session["kernel"]["id"]]
        client.stop_channels()


@pytest.mark.attach
def test_a_process_that_has_gone_is_told_and_another_offered(server: Server) -> None:
    with Program("idle", args=[ORDERS]) as program:
        name = server.process(program)["kernelspec"]
        assert "Order" in run_once(server, name, "orders")
    records = server.home / "data" / "live-kernel" / "programs.json"
    assert stat.S_IMODE(records.stat().st_mode) == 0o600
    assert stat.S_IMODE(records.parent.stat().st_mode) == 0o700
    assert f'"{name}"' in records.read_text()

    refused = run_once(server, name, "orders")
    assert f"This kernel's program: pid {program.pid} (python " in refused
    assert f"{ORDERS}) has ended" in refused

    with Program("idle", args=[ORDERS]) as again:
        listed = run_once(server, name, "orders")
        assert "%attach PID takes one of these, the likest first:" in listed
        rows = listed.partition("the likest first:")[2].split()
        assert rows[0] == str(again.pid)

        answered = run_once(server, name, "orders", [""])
        assert f"Enter: {again.pid} (python " in answered
        assert f"Attached to pid {again.pid}" in answered
        assert "[<Order 1>, <Order 2>]" in answered

        server.stop_server()
        server.start_server()
        later = run_once(server, name, "orders", [""])
        assert f"{ORDERS}) has ended" in later
        assert f"Attached to pid {again.pid}" in later


@pytest.mark.attach
def test_a_pid_that_has_gone_to_another_process(server: Server, program: Program) -> None:
    """What is remembered is of the one before; the present one has a kernelspec of its own."""
    name = f"live-attach-{program.pid}"
    file = server.home / "data" / "live-kernel" / "programs.json"
    kept = json.loads(file.read_text()) if file.exists() else []
    before = {
        "name": name, "pid": program.pid, "start_time": 1, "boot": "another",
        "command": ["python", "long-gone.py"], "title": "long-gone", "path": "", "used": 1e9,
    }  # fmt: skip
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(json.dumps([*kept, before]))

    own = server.process(program)["kernelspec"]
    assert own.startswith(f"{name}-")
    assert own in server.specs()
    assert "Order" in run_once(server, own, "orders")
    refused = run_once(server, name, "orders")
    assert f"pid {program.pid} is another process now" in refused
    assert "(python long-gone.py) has ended" in refused


@pytest.mark.attach
def test_a_notebook_of_another_machine_enters_no_stranger(server: Server, program: Program) -> None:
    """Of its program, the title is all that it tells; another goes by this pid here."""
    name = f"live-attach-{program.pid}"
    spec = {"name": name, "display_name": f"billing · pid {program.pid}", "language": "python"}
    notebook = {"cells": [], "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    (server.notebooks / "theirs.ipynb").write_text(json.dumps(notebook))
    with server.session(name, "theirs.ipynb") as session:
        client = connected(server, session)
        text = run(client, "orders")
        client.stop_channels()
    assert f"pid {program.pid} is another process now" in text
    assert "(billing) has ended" in text
    assert "<Order 1>" not in text


def test_a_pid_of_which_nothing_is_known_has_a_kernelspec(server: Server) -> None:
    with server.client() as client:
        answer = client.get("api/kernelspecs/live-attach-4194305")
        assert answer.status_code == 200
        assert answer.json()["spec"]["argv"][-2:] == ["--pid", "4194305"]
        for name in ("live-attach-x", "live-attach-0", "live-attach-1-", "live-attached", "none"):
            assert client.get(f"api/kernelspecs/{name}").status_code == 404


def test_a_notebook_keeps_its_kernelspec_listed(server: Server) -> None:
    """Or JupyterLab would ask for another before it opens the notebook."""
    with Program("idle") as program:
        opened = server.post(f"{API}open", {"pid": program.pid}).json()
        name = server.process(program)["kernelspec"]
        with server.session(name, opened["path"]):
            eventually(lambda: opened["path"] in records(server, name)["path"], every=0.2)
    eventually(lambda: "(ended)" in title(server, name), what="listed as ended", every=0.3)
    (server.notebooks / opened["path"]).unlink()
    eventually(lambda: name not in server.specs(), what="no notebook needs it", every=0.3)


def records(server: Server, name: str) -> dict[str, Any]:
    file = server.home / "data" / "live-kernel" / "programs.json"
    found = json.loads(file.read_text()) if file.exists() else []
    return next((each for each in found if each["name"] == name), {"path": ""})


def title(server: Server, name: str) -> str:
    return str(server.specs().get(name, {"spec": {"display_name": ""}})["spec"]["display_name"])


# -- notebooks and consoles


@pytest.mark.parametrize(("kind", "where"), [("notebook", "lab/tree/"), ("console", "lab/")])
def test_what_is_opened(server: Server, program: Program, kind: str, where: str) -> None:
    opened = server.post(f"{API}open", {"pid": program.pid, "kind": kind}).json()
    assert opened["url"].startswith(f"/{where}")
    with server.client() as client:
        assert client.get(opened["url"]).status_code == 200
    if kind == "notebook":
        found = json.loads((server.notebooks / opened["path"]).read_text())
        assert found["metadata"]["kernelspec"]["name"] == f"live-attach-{program.pid}"
        assert len(found["cells"]) == 1


def test_a_notebook_is_made_where_it_is_wanted(server: Server, program: Program) -> None:
    (server.notebooks / "a folder").mkdir()
    wanted = {"pid": program.pid, "directory": "a folder"}
    opened = server.post(f"{API}open", wanted).json()
    assert (server.notebooks / opened["path"]).parent.name == "a folder"
    assert "/a%20folder/" in opened["url"]
    assert server.post(f"{API}open", wanted | {"directory": "nowhere"}).status_code == 404
    assert server.post(f"{API}open", wanted | {"directory": "../.."}).status_code in (400, 404)


def test_nothing_is_made_that_nobody_could_show(program: Program) -> None:
    off = {"jupyterlab": False, "notebook": False}
    with Server(config={"ServerApp": {"jpserver_extensions": off}}) as server:
        answer = server.post(f"{API}open", {"pid": program.pid})
        assert answer.status_code == 409
        assert "no front-end" in answer.json()["message"]
        assert not list(server.notebooks.iterdir())


# -- how the server is set up


def test_below_another_path(program: Program) -> None:
    with Server(base_url="/user/ann/") as server:
        assert server.process(program)["attachable"]
        opened = server.post(f"{API}open", {"pid": program.pid}).json()
        assert opened["url"].startswith("/user/ann/lab/tree/")
        with server.client() as client:
            page = client.get("live-kernel").text
            assert 'data-base-url="/user/ann/"' in page
            (script,) = [part for part in page.split('"') if "page.js" in part]
            assert script.startswith("/user/ann/static/")
            assert (
                client.get(server.address("").removesuffix("/user/ann/") + script).status_code
                == 200
            )


def test_switched_off(program: Program) -> None:
    with Server(config={"LiveKernel": {"enabled": False}}) as server:
        assert set(server.specs()) == {"live-attach", "python3"}
        with server.client() as client:
            assert client.get(f"{API}processes").status_code == 404
            assert client.get("live-kernel").status_code == 404


def test_settings_of_the_list() -> None:
    config = {"LiveKernel": {"max_specs": 3, "match": "so-many-of-them"}}
    with targets(5, "so-many-of-them") as programs, Server(config=config, options=()) as server:
        eventually(lambda: len(ours(server)) == 3, what="three are listed", every=0.3)
        assert ours(server) <= {f"live-attach-{program.pid}" for program in programs}
        listed = {each["pid"] for each in server.get("processes")["processes"]}
        assert {program.pid for program in programs} <= listed


def ours(server: Server) -> set[str]:
    return {name for name in server.specs() if name.startswith("live-attach-")}


@contextlib.contextmanager
def targets(count: int, name: str) -> Iterator[list[Target]]:
    """So many programs with this on their command lines."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Target("idle", args=[name])) for _ in range(count)]


def test_kernelspecs_that_are_not_allowed(program: Program) -> None:
    config = {"KernelSpecManager": {"allowed_kernelspecs": ["python3"]}}
    with Server(config=config) as server:
        assert set(server.specs()) == {"python3"}
        answer = server.post(f"{API}open", {"pid": program.pid})
        assert answer.status_code == 409
        assert "allowed_kernelspecs" in answer.json()["remedy"]


def test_another_manager_of_kernelspecs(program: Program, tmp_path: Path) -> None:
    """One that asks itself, as those of other extensions do, and changes what it finds."""
    (tmp_path / "theirs.py").write_text(
        "from jupyter_client.kernelspec import KernelSpecManager\n"
        "class Theirs(KernelSpecManager):\n"
        "    def find_kernel_specs(self):\n"
        "        return super().find_kernel_specs()\n"
        "    def get_all_specs(self):\n"
        "        found = {name: {'resource_dir': place,\n"
        "                        'spec': self.get_kernel_spec(name).to_dict()}\n"
        "                 for name, place in self.find_kernel_specs().items()}\n"
        "        for each in found.values():\n"
        "            each['spec']['display_name'] += ' (theirs)'\n"
        "        return found\n"
    )
    config = {"ServerApp": {"kernel_spec_manager_class": "theirs.Theirs"}}
    with Server(config=config, environment={"PYTHONPATH": str(tmp_path)}) as server:
        found = server.specs()
        assert found["python3"]["spec"]["display_name"].endswith(" (theirs)")
        mine = found[f"live-attach-{program.pid}"]["spec"]["display_name"]
        assert mine == f"idle · pid {program.pid}"


def test_a_gateway_is_left_alone(server: Server, program: Program) -> None:
    """Kernels run where the gateway is; the processes of this machine are none of theirs."""
    config = {"GatewayClient": {"url": server.address("").rstrip("/"), "auth_token": server.token}}
    with Server(config=config, options=()) as here:
        with here.client() as client:
            assert client.get(f"{API}processes").status_code == 200
        answer = here.post(f"{API}open", {"pid": program.pid})
        assert answer.status_code == 409
        assert "gateway" in answer.json()["message"]


def test_it_goes_with_the_server(server: Server) -> None:
    """The list's thread does not keep the server from ending."""
    server.get("processes")
    server.stop_server()
    assert server.server.returncode in (0, -15)
    assert not list(server.home.glob("runtime/*live*"))
