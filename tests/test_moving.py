"""`%pull` and `%push`: values between a target and the local kernel.

Runs in pytest: real targets, some with numpy and some with nothing, real
launchers, real local kernels. Rule: a move that fails changes nothing on either side.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Cell, Kernel
from snapshots import Program
from targets import Target

from live_kernel.errors import NotMoved
from live_kernel.launcher import moving
from live_kernel.launcher.moved_names import MovedWord, moved_word
from live_kernel.link import parcels

pytestmark = [pytest.mark.attach, pytest.mark.client]

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(scope="module")
def bare() -> Iterator[Kernel]:
    """Attached to a target that has the standard library alone."""
    with Target("stock") as target, Kernel("--pid", target.pid) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def equipped() -> Iterator[Kernel]:
    """Attached to a target that has numpy and pandas, as the local kernel has."""
    with Target("stock", sys.executable) as target, Kernel("--pid", target.pid) as kernel:
        yield kernel


def ok(kernel: Kernel, code: str, timeout: float = 40) -> Cell:
    cell = kernel.run(code, timeout)
    assert cell.status == "ok", cell
    return cell


def local(kernel: Kernel, code: str) -> str | None:
    return ok(kernel, "%%local\n" + code).result


# -- what arrives


def test_a_value_is_brought_and_named(bare: Kernel) -> None:
    cell = ok(bare, "%pull numbers")
    assert re.search(r"Pulled numbers \(\d+ bytes\)\.", cell.stdout)
    ok(bare, "%pull text as word, counts")
    assert local(bare, "numbers, word, counts") == (
        "([1, 2, 3], 'später', {'cup': 3, 'plate': [1.5, None, True]})"
    )


def test_names_may_be_those_of_a_function_and_have_dots(bare: Kernel) -> None:
    ok(bare, "%pull inside item.name as name")
    assert local(bare, "inside, name") == "(7, 'cup')"


def test_a_pulled_value_is_a_copy(bare: Kernel) -> None:
    ok(bare, "%pull numbers")
    local(bare, "numbers.append(4)")
    assert bare.value("numbers") == [1, 2, 3]


def test_a_pushed_value_is_assigned_as_by_a_cell(bare: Kernel) -> None:
    local(bare, "text, fresh, nine = 'früher', {1, 2}, 9")
    ok(bare, "%push text fresh nine as inside")
    assert bare.value("(text, fresh, inside)") == ("früher", {1, 2}, 9)
    assert bare.value("vars(__import__('__main__')).get('fresh', 'not the program’s')") == (
        "not the program’s"
    )
    assert bare.value("vars(__import__('__main__'))['text']") == "früher"
    local(bare, "name = 'mug'")
    ok(bare, "%push name as item.name")
    assert bare.value("item.name") == "mug"
    ok(bare, "text, inside = 'später', 7")


def test_commands_and_code_share_a_cell(bare: Kernel) -> None:
    cell = ok(bare, "%pull numbers as mine\n%push mine as theirs\ntheirs == numbers")
    assert cell.result == "True"


def test_the_program_sees_what_was_typed_as_input(bare: Kernel) -> None:
    ok(bare, "%pull numbers")
    assert bare.value("In[-2]") == "%pull numbers"


@pytest.mark.parametrize(
    ("make", "same"),
    [
        ("5", "v == 5"),
        ("'text'", "v == 'text'"),
        ("numpy.arange(5)", "list(v) == [0, 1, 2, 3, 4]"),
        ("numpy.arange(10**6).reshape(1000, 1000).T", "v[3, 2] == 2003 and v.flags.writeable"),
        ("numpy.arange(10**6)[::2]", "v[3] == 6"),
        ("pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y']})", "v.b[1] == 'y'"),
        (
            "pandas.DataFrame(numpy.ones((50_000, 4)), columns=list('abcd'))",
            "v.sum().sum() == 200_000",
        ),
        ("pandas.Series(pandas.date_range('2026-01-01', periods=20_000))", "v[9].day == 10"),
    ],
)
def test_it_goes_there_and_back(equipped: Kernel, make: str, same: str) -> None:
    ok(equipped, f"import numpy, pandas\nv = {make}\n{same}")
    ok(equipped, "%pull v")
    assert local(equipped, f"bool({same})") == "True"
    ok(equipped, "%push v as back")
    assert ok(equipped, f"v = back\nbool({same})").result == "True"


def test_arrays_of_a_program_that_has_numpy_need_it_here_alone(bare: Kernel) -> None:
    ok(bare, "%pull numbers")
    assert local(bare, "import pandas\nint(pandas.Series(numbers).sum())") == "6"
    error = bare_error(bare, "%%local\ns = pandas.Series(numbers)", "%push s")
    assert error[0] == "UnpicklingError"
    assert "'s': can't be rebuilt in pid" in error[1]
    assert re.search(r"needs the module 'pandas.*', which pid \d+ does not have", error[1])
    assert error[1].endswith("Nothing was changed.")


def bare_error(kernel: Kernel, *codes: str) -> tuple[str, str]:
    """The error with which the last of these cells ends."""
    *before, last = codes
    for code in before:
        ok(kernel, code)
    return kernel.run(last).error


# -- what does not


def test_a_name_that_is_not_there(bare: Kernel) -> None:
    cell = bare.run("%pull numbers nothing")
    assert cell.error == ("NameError", "name 'nothing' is not defined")
    assert "numbers" not in cell.stdout
    assert bare_error(bare, "%%local\n1", "%push nothing")[0] == "NameError"


def test_what_cannot_be_pickled(bare: Kernel) -> None:
    name, text = bare_error(bare, "%%local\nnumbers = 'before'", "%pull numbers lock")
    assert name == "PicklingError"
    assert text.startswith("'lock': 'lock' object can't be pickled: TypeError: cannot pickle")
    assert text.endswith("Nothing was changed.")
    assert local(bare, "numbers") == "'before'"
    assert bare.run("%pull odd").error[1] == (
        "'odd': 'Odd' object can't be pickled: RuntimeError: not now. Nothing was changed."
    )
    assert bare_error(bare, "%%local\nf = lambda: 0", "%push f")[0] == "PicklingError"


def test_a_class_that_the_other_side_lacks(bare: Kernel) -> None:
    name, text = bare.run("%pull item").error
    assert name == "UnpicklingError"
    assert "needs 'Item' of the module '__main__', which has none in the local kernel" in text
    code = "%%local\nclass Thing: pass\nthing = Thing()"
    assert "needs 'Thing' of the module '__main__'" in bare_error(bare, code, "%push thing")[1]
    assert bare.run("thing").error[0] == "NameError"


def test_a_move_can_be_interrupted(equipped: Kernel) -> None:
    ok(
        equipped,
        "class Slow:\n    def __reduce__(self):\n        print('on')\n        while 1: pass",
    )
    ok(equipped, "slow = Slow()")
    cell = equipped.begin("%pull slow")
    cell.wait_for("on")
    equipped.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    ok(equipped, "import numpy\narray = numpy.arange(100_000)")
    ok(equipped, "%pull array")
    assert local(equipped, "int(array.sum())") == "4999950000"


def test_without_a_target_or_a_local_kernel() -> None:
    with Kernel() as kernel:
        assert kernel.run("%push x").error == ("NotMoved", "There is no local kernel yet.")
        assert kernel.run("%pull x").error[0] == "NoTarget"
        local(kernel, "x = 1")
        assert kernel.run("%push x").error[0] == "NoTarget"


def test_a_local_kernel_that_dies_meanwhile(bare: Kernel) -> None:
    code = (
        "import os\nclass Deadly:\n    def __reduce__(self): os.kill(os.getpid(), 9)\n"
        "deadly = Deadly()"
    )
    assert bare_error(bare, "%%local\n" + code, "%push deadly")[0] == "LocalKernelLost"
    ok(bare, "%pull numbers")
    assert local(bare, "numbers") == "[1, 2, 3]"


def test_a_target_that_dies_meanwhile() -> None:
    with Target("stock") as target, Kernel("--pid", target.pid) as kernel:
        ok(kernel, "import os\nclass Deadly:\n    def __reduce__(self): os.kill(os.getpid(), 9)")
        assert bare_error(kernel, "deadly = Deadly()", "%pull deadly")[0] == "AgentLost"
        assert local(kernel, "1") == "1"


# -- what it costs


def peak(pid: int) -> int:
    """Bytes that a process has had in memory since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> int:
    """Returns what it has at present."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _status(pid: int, field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match, field
    return int(match.group(1)) << 10


def test_a_large_array_is_not_copied_by_anyone() -> None:
    size = 200_000_000
    with Target("stock", sys.executable) as target, Kernel("--pid", target.pid) as kernel:
        ok(kernel, f"import numpy\nlarge = numpy.ones({size // 8})")
        local_pid = int(local(kernel, "import os, numpy\nos.getpid()") or 0)
        pids = {"target": target.pid, "launcher": kernel.launcher_pid, "local": local_pid}
        before = {name: forget_peak(pid) for name, pid in pids.items()}
        ok(kernel, "%pull large")
        assert local(kernel, "float(large.sum())") == f"{size // 8:.1f}"
        grown = {name: (peak(pid) - before[name]) / size for name, pid in pids.items()}
        assert grown["target"] < 0.1, grown
        assert grown["launcher"] < 0.1, grown
        assert grown["local"] < 1.2, grown  # the one copy, mapped
        assert _status(local_pid, "RssShmem") > 0.9 * size
        before = {name: forget_peak(pid) for name, pid in pids.items()}
        ok(kernel, "%push large as back")
        assert ok(kernel, "float(back.sum())").result == f"{size // 8:.1f}"
        grown = {name: (peak(pid) - before[name]) / size for name, pid in pids.items()}
        assert grown["local"] < 0.1, grown
        assert grown["launcher"] < 0.1, grown
        assert grown["target"] < 1.2, grown
        ok(kernel, "del back")
        assert _status(target.pid, "RssShmem") < 0.1 * size


def test_free_memory_is_less_than_there_is() -> None:
    everything = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    assert 0 < moving.free_memory(os.getpid()) < everything


@pytest.mark.harm
def test_the_program_is_left_as_it_was() -> None:
    with Program("stock") as target, Kernel() as kernel:
        before = target.snapshot()
        ok(kernel, f"%attach {target.pid}")
        ok(kernel, "%pull numbers counts")
        local(kernel, "mine = bytearray(10**6)")
        ok(kernel, "%push mine")
        kernel.run("%pull lock")
        kernel.run("%pull item")
        ok(kernel, "%detach")
        target.assert_unharmed_since(before)


# -- who may


@pytest.mark.root
def test_another_users_pickles_are_refused_and_its_plain_data_taken() -> None:
    with Target("stock", wrap=AS_NOBODY) as target, Kernel("--pid", target.pid) as kernel:
        cell = kernel.run("%pull numbers")
        name, text = cell.error
        assert name == "NotTrusted"
        assert "belongs to nobody, and to unpickle what it says" in text
        assert "%pull --json numbers" in cell.traceback
        ok(kernel, "%pull --json numbers counts as many")
        assert local(kernel, "numbers, many['cup']") == "([1, 2, 3], 3)"
        assert "no plain data" in kernel.run("%pull --json item").error[1]
        local(kernel, "import pathlib\nmine = {pathlib.PurePath('/x')}")
        ok(kernel, "%push mine")
        assert ok(kernel, "list(mine)[0].name").result == "'x'"
        assert not [each for each in Path("/tmp").glob("live-kernel-*") if is_nobodys(each)]


def is_nobodys(path: Path) -> bool:
    """Does it belong to the target's user? Others may be there, for targets of other tests."""
    try:
        return path.stat().st_uid == 65534
    except FileNotFoundError:
        return False


def test_only_a_file_of_memory_is_passed_on() -> None:
    """A hostile target could hand over a device that is read for ever."""
    memory = parcels.create()
    os.write(memory, b"1\n")
    device, pipe = os.open("/dev/zero", os.O_RDONLY), os.pipe()
    descriptors = [memory, device, *pipe]
    try:
        assert moving.is_parcel(memory, 2)
        assert not moving.is_parcel(memory, 1)
        assert not any(moving.is_parcel(each, 1 << 40) for each in descriptors[1:])
    finally:
        for each in descriptors:
            os.close(each)


# -- what is typed


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", (["a"], ["a"])),
        ("a as b", (["a"], ["b"])),
        ("a, b as c d", (["a", "b", "d"], ["a", "c", "d"])),
        ("app.orders as orders", (["app.orders"], ["orders"])),
    ],
)
def test_names_are_read(text: str, names: tuple[list[str], list[str]]) -> None:
    assert moving.parse(text, "%pull NAME") == names


@pytest.mark.parametrize("text", ["", "as", "a as", "a as 1", "a()", "a.", "if", "a as b.if"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(NotMoved) as caught:
        moving.parse(text, "%pull NAME")
    assert caught.value.remedy == "Usage: %pull NAME"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("%pull ", MovedWord("%pull", "")),
        ("x\n%push a b", MovedWord("%push", "b")),
        ("%pull a as ", None),
        ("%pull --j", None),
        ("%pull", None),
        ("%pulls a", None),
    ],
)
def test_the_word_that_is_typed_is_found(code: str, word: MovedWord | None) -> None:
    assert moved_word(code, len(code)) == word


def test_names_are_completed(bare: Kernel) -> None:
    assert bare.complete("%pull numb") == ["numbers"]
    assert "if" not in bare.complete("%pull ")
    code = "%pull text item.na"
    reply = bare.ask("complete_request", code=code, cursor_pos=len(code))
    assert [code[: reply["cursor_start"]] + each for each in reply["matches"]] == [code + "me"]
    local(bare, "remarkable = 1")
    assert bare.complete("%push remark") == ["remarkable"]
