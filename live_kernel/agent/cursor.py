"""The code before a cursor: what is open there, and which expression ends there.

Runs in the target, on the thread `control`. Rule: text in, text out. Nothing is
compiled or run, any text will do, however broken, and it is read once.
"""

from __future__ import annotations

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern

CODE_LIMIT = 1_000_000
"""Characters of source that are searched for names."""

_BINDING = (
    r"{0}(?:from\s.*)?import\s.*\bas\s+(\w+)"
    r"|{0}(?:(?:async\s+)?(?:def|class|for)|(?:from\s.*)?import|with\b.*\bas)\s+(\w+)"
    r"|{0}([^\W\d][\w ,]*?)\s*(?::[^=\n]+)?=(?!=)"
)


class Opening:
    """A bracket or a string that is still open at the cursor.

    `text` is the bracket or the quote; `body` the index where the contents
    begin; `prefix` the letters before a string's quote.
    """

    __slots__ = ("body", "prefix", "start", "text")

    def __init__(self, start: int, text: str, body: int, prefix: str = "") -> None:
        self.start, self.text, self.body, self.prefix = start, text, body, prefix


class Scan:
    """The code before an index.

    `open`: what is open there, the innermost last. `starts`: from the index
    behind each closed bracket or string to the index where it begins.
    `statement`: where the logical line begins. `in_comment`: nothing to do here.
    """

    def __init__(self, code: str, end: int) -> None:
        self.code, self.end = code, end
        self.open: list[Opening] = []
        self.starts: dict[int, int] = {}
        self.in_comment = False
        self.statement = position = 0
        while position < end:
            position = self._next(position)

    @property
    def string(self) -> Opening | None:
        """The string in which the index lies."""
        return self.open[-1] if self.open and self.open[-1].text not in "([{" else None

    def _next(self, position: int) -> int:
        inside = self.string
        tokens = _tokens(inside.text, "f" in inside.prefix) if inside else _tokens("", False)
        token = tokens.search(self.code, position, self.end)
        if token is None:
            return self.end
        if inside is not None:
            self._in_string(inside, token.group(), token.end())
        else:
            self._in_code(token.group("quote"), token.group(), token.end())
        return token.end()

    def _in_string(self, string: Opening, token: str, end: int) -> None:
        if token == string.text:
            self.open.pop()
            self.starts[end] = string.start
        elif token == "\n":  # never closed; what follows is code again
            self.open.pop()
            self._line_ends(end)
        elif token == "{":
            self.open.append(Opening(end - 1, "{", end))

    def _in_code(self, quote: str | None, token: str, end: int) -> None:
        if quote:
            prefix = token[: -len(quote)].lower().replace("t", "f")
            self.open.append(Opening(end - len(token), quote, end, prefix))
        elif token in "([{":
            self.open.append(Opening(end - 1, token, end))
        elif token in ")]}":
            if self.open and self.open[-1].text + token in ("()", "[]", "{}"):
                self.starts[end] = self.open.pop().start
        elif token in "\n;":
            self._line_ends(end)
        elif token[0] == "#":
            self.in_comment = end == self.end

    def _line_ends(self, end: int) -> None:
        if not self.open:
            self.statement = end

    def word_start(self, end: int) -> int:
        """Where the identifier that ends at an index begins."""
        start = end
        while start and is_word(self.code[start - 1]):
            start -= 1
        return start

    def skip_space(self, end: int) -> int:
        """The index behind the last character before `end` that is no white space."""
        while end and self.code[end - 1] in " \t\n\\":
            end -= 1
        return end

    def dot_before(self, start: int) -> int | None:
        """The index of the dot that makes the word at `start` an attribute."""
        end = self.skip_space(start)
        if not end or self.code[end - 1] != "." or self.code[end - 2 : end] == "..":
            return None
        return end - 1

    def primary(self, end: int) -> str:
        """The expression that ends at an index: a name with attributes, calls and so on; or ""."""
        start = end = self.skip_space(end)
        while True:
            opened = self.starts.get(start)
            if opened is not None:
                start = opened
                if not self.follows_value(start):
                    break
                continue
            word = self.word_start(start)
            if word == start or self.code[word].isdigit():
                return ""
            start = word
            dot = self.dot_before(start)
            if dot is None:
                break
            start = self.skip_space(dot)
        return self.code[start:end]

    def follows_value(self, start: int) -> bool:
        """Does the bracket there call or subscript something?"""
        ends_value = start in self.starts or (start > 0 and is_word(self.code[start - 1]))
        return ends_value and self.code[start] in "(["

    def elements(self, opening: Opening, end: int) -> list[str]:
        """What stands in an open bracket before an index, split at its own commas."""
        texts: list[str] = []
        last = end
        while end > opening.body:
            end = self.starts.get(end, end - 1)
            if self.code[end] == ",":
                texts.insert(0, self.code[end + 1 : last])
                last = end
        return [self.code[opening.body : last], *texts]

    def arguments(self, opening: Opening) -> list[str]:
        """What stands in an open bracket, split at commas, without what is nested in it."""
        texts = [""]
        end = self.end
        while end > opening.body:
            end, last = self.starts.get(end, end - 1), end
            if self.code[end] == ",":
                texts.insert(0, "")
            else:
                texts[0] = (self.code[end] if end == last - 1 else "…") + texts[0]
        return texts


def is_word(character: str) -> bool:
    """Can the character stand in an identifier?"""
    return character.isalnum() or character == "_" or ("a" + character).isidentifier()


@cache
def _tokens(quote: str, is_formatted: bool) -> Pattern[str]:
    """What to look for next: in a string with such quotes, or in code."""
    import re

    if not quote:
        return re.compile(
            r"""(?:(?<!\w)[bfrtuBFRTU]{1,2})?(?P<quote>\"{3}|'{3}|"|')"""
            r"""|[()\[\]{};\n]|\\\n|\#[^\n]*"""
        )
    end_of_line = "\n" if len(quote) == 1 else r"(?!)"
    field = r"\{\{|\{" if is_formatted else r"(?!)"
    return re.compile(rf"\\.|{quote}|{end_of_line}|{field}", re.DOTALL)


def bound_names(code: str, line_start: str) -> list[str]:
    """The names that code binds, in lines that begin so (a pattern), guessed from its text."""
    import re

    pattern = re.compile(_BINDING.format(line_start), re.MULTILINE)
    found = [name for match in pattern.findall(code[:CODE_LIMIT]) for name in match if name]
    return [name.strip() for names in found for name in names.split(",")]
