"""`%%patch`, `%patch`, `%unpatch`: functions of the notebook in place of the program's.

Runs on the launcher's reactor. Rule: the code below `%%patch` is a definition, not a cell:
it assigns nothing in the program but what it is to replace.
"""

from __future__ import annotations

from typing import Any

from ..guarding import Reach
from .command import Action, Ending


class PatchCell(Action):
    """Put the function that stands below in the place of one of the program's.

    It is bound everywhere the other is referenced by name: in modules, also those that have
    imported it by `from`, in classes, and in variables of functions that run. Calls under way
    end in the old one. It works in the module of the one that it replaces, whose names it sees,
    and the notebook's before them. %unpatch and detaching put the original back.

        %%patch app.price
        def price(order):
            return order.total * 0.9
    """

    reach = Reach.RUNS
    usage = "%%patch FUNCTION"
    action = "patch"
    takes_code = True

    def options(self, argument: str) -> dict[str, Any]:
        name, _, code = argument.partition("\n")
        if len(name.split()) != 1 or not code.strip():
            raise self.misused("%%patch stands above the definition of the new function.")
        return {"function": name.strip(), "code": f"\n{code}", "by": ""}


class Patch(Action):
    """Put a function of the notebook in the place of one of the program's; or list what is.

    See %%patch?, which does so with the function that stands below it.

        %patch app.price cheaper     cheaper is a function of the notebook
        %patch                       what is patched
    """

    reach = Reach.RUNS
    usage = "%patch [FUNCTION NAME]"
    action = "patch"
    takes_code = True

    def options(self, argument: str) -> dict[str, Any]:
        match argument.split():
            case []:
                return {"function": "", "code": "", "by": ""}
            case [function, name]:
                return {"function": function, "code": "", "by": name}
        raise self.misused("%patch is told which function, and the name of the new one.")


class Unpatch(Ending):
    """Put back what a patch has replaced: that function, or all; if there is one, that.

    A name that the program has bound anew meanwhile is left as it is.
    """

    reach = Reach.RUNS
    usage = "%unpatch [FUNCTION | all]"
    action = "unpatch"
    takes_code = True
