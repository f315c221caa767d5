"""IPython's magics by name, and what may be typed behind each.

Runs in the launcher. Rule: a table, so that `%ti` is completed at once, before
IPython is loaded here or in a target; a test holds it against the IPython that
is installed. What a live program refuses is not in it. Magics that a cell has
registered, or loaded with an extension, are known by the target.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINE = _words(
    """
    alias alias_magic autoawait autocall automagic bookmark cat clear code_wrap colors conda config
    cp debug dhist dirs doctest_mode env hist history ldir less lf lk ll load load_ext loadpy
    logoff logon logstart logstate logstop ls lsmagic lx macro magic mamba man matplotlib
    micromamba mkdir more mv notebook page pastebin pdb pdef pdoc pfile pinfo pinfo2 pip pprint
    precision prun psearch psource pwd pycat quickref recall rehashx reload_ext rep rerun reset
    reset_selective rm rmdir run save sc sx system tb time timeit unalias unload_ext uv who who_ls
    whos xdel xmode
    """
)
"""Line magics, by the name behind the `%`."""

CELL = _words(
    """
    ! HTML SVG bash capture code_wrap debug file html javascript js latex markdown perl prun pypy
    python python2 python3 ruby script sh svg sx system time timeit writefile
    """
)
"""Cell magics, by the name behind the `%%`."""

REFUSED = _words(
    "autosave cd connect_info ed edit gui killbgscripts popd pushd pylab qtconsole set_env "
    "store subshell"
)
"""Magics that say why they are not for cells in a live program."""

ALIASES = {"hist": "history", "rep": "recall", "HTML": "html", "SVG": "svg", "file": "writefile"}
"""Other names of magics."""

MADE_LATE = _words(
    """
    bash cat clear cp ldir less lf lk ll ls lx man mkdir more mv perl pypy python python2 python3 rm
    rmdir ruby sh
    """
)
"""Magics that an IPython makes when it starts, most of them from commands of the system."""

EXTENSIONS = ("autoreload",)
"""Extensions that come with IPython."""

_TYPES = "bool bytes dict float function int list module set str tuple type"

CHOICES = {
    name: tuple(words.split())
    for name, words in {
        "autoawait": "asyncio false true",
        "automagic": "off on",
        "autoreload": "0 1 2 3 all complete explicit now off",
        "config": "DisplayFormatter InlineBackend.figure_format InlineBackend.rc",
        "matplotlib": "--list inline",
        "pip": "check download freeze install list show uninstall",
        "ps": "--all",
        "who": _TYPES,
        "who_ls": _TYPES,
        "whos": _TYPES,
        "xmode": "Context Docs Minimal Plain Verbose",
    }.items()
}
"""Magics behind which one of a few words stands."""

FILES = {
    "cat": (), "cp": (), "file": (), "ldir": (), "less": (), "lf": (), "lk": (), "ll": (),
    "load": (), "loadpy": (), "logstart": (), "ls": (), "lx": (), "mkdir": (), "more": (),
    "mv": (), "notebook": (".ipynb",), "pycat": (".py",), "rm": (), "rmdir": (),
    "run": (".py", ".ipy", ".ipynb"), "save": (), "writefile": (),
}  # fmt: skip
"""Magics behind which a file stands, with the endings that it may have."""

OF_EXTENSIONS = frozenset(("load_ext", "reload_ext", "unload_ext"))

OF_CODE = _words(
    """
    debug macro page pdef pdoc pfile pinfo pinfo2 pprint prun psearch psource reset_selective time
    timeit xdel
    """
)
"""Magics behind which Python stands."""
