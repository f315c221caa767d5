#!/usr/bin/env python3
"""Build the documentation's site from docs/, and check it.

    docs.py            build into .artefacts/site, as strictly as the tests do

The exit status is 0 only if nothing was found wrong.
"""

from __future__ import annotations

import sys

from documentation import building, checking
from provision.shell import ROOT


def main(arguments: list[str]) -> int:
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        building.build()
    except building.NotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    found = [*checking.faults(building.SITE)]
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print(f"The site is in {(building.SITE / 'index.html').relative_to(ROOT)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
