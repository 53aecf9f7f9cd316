"""A language model's Markdown as WhatsApp shows it."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MARKS = {"strong": "*", "em": "_", "s": "~"}
LONGEST = 50_000  # characters; a longer text is nobody's chat message and stays as it is
WORD = re.compile(r"\w")
# The last character is one that addresses end in, so that closing marks and full stops stay outside.
ADDRESS = re.compile(r"://[^\s<>()\[\]`]{0,2000}[^\W_]/?")
LINE_END = re.compile(r"\r\n?|\n")  # what ends a line for the parser; splitlines() knows more
LANGUAGE = re.compile(r"[A-Za-z0-9+#.-]{1,20}")


def to_whatsapp(markdown: str) -> str:
    """The text with WhatsApp's marks in place of Markdown's; no word of it is lost.

    ``*one star*`` is Markdown's emphasis and becomes ``_one star_``, although WhatsApp itself would show it bold. Stars
    and underscores within words (2*3*4, snake_case) stay. HTML is text. What is nested deeper than the parser follows,
    and what would come out empty, stays as it is.
    """
    if len(markdown) > LONGEST:
        return markdown.strip()
    parser = _get_parser()
    tokens = parser.parse(markdown)
    if any(token.level >= parser.options["maxNesting"] - 1 for token in tokens):
        return markdown.strip()
    return _join_blocks(tokens, LINE_END.split(markdown)).strip() or markdown.strip()


@cache
def _get_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # Without the rules that hide words (link definitions, HTML), without headings underlined with dashes, and without
    # the one for pictures, which calls itself as deep as they are nested: the rule for links reads what is behind "!".
    unwanted = ["reference", "html_block", "html_inline", "lheading", "image"]
    parser = MarkdownIt("commonmark").enable(["strikethrough", "table"]).disable(unwanted)
    parser.inline.ruler.before("strikethrough", "address", _keep_address)
    parser.parse(
        "a"
    )  # its rules are compiled at the first use, and for a moment there are none: no thread may see that
    return parser


def _keep_address(state: "StateInline", silent: bool) -> bool:
    """A rule for the parser: what follows "https" is text, whatever stars and underscores are in it."""
    address = ADDRESS.match(state.src, state.pos)
    if address and not silent:
        state.pending += address[0]
    state.pos = address.end() if address else state.pos
    return address is not None


def _join_blocks(tokens: Sequence["Token"], lines: Sequence[str], *, in_quote: bool = False) -> str:
    """Blocks under one another, with an empty line where the source has one or a rule."""
    text, apart = "", False
    for block in _split_blocks(tokens):
        first = block[0].map[0] if block[0].map else 0
        apart = apart or block[0].type == "hr" or (first > 0 and not lines[first - 1].strip(" \t>"))
        if shown := _show_block(block, lines, in_quote=in_quote):
            text += f"{chr(10) * (2 if apart else 1)}{shown}" if text else shown
            apart = False
    return text


def _split_blocks(tokens: Sequence["Token"]) -> Iterator[Sequence["Token"]]:
    """The tokens of each outermost block, from its opening to its closing one."""
    start = depth = 0
    for index, token in enumerate(tokens):
        depth += token.nesting
        if depth == 0:
            yield tokens[start : index + 1]
            start = index + 1


def _show_block(block: Sequence["Token"], lines: Sequence[str], *, in_quote: bool) -> str:
    token, inside = block[0], block[1:-1]
    match token.type:
        case "inline":
            return _show_inline(token.children or [])
        case "heading_open":
            return _embolden(inside[0].children or [])
        case "fence" | "code_block":
            return _show_code(token, lines)
        case "blockquote_open":
            text = _join_blocks(inside, lines, in_quote=True)
            # WhatsApp knows no quote within a quote.
            return text if in_quote else "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        case "bullet_list_open" | "ordered_list_open":
            return "\n".join(_show_item(item, lines, in_quote=in_quote) for item in _split_blocks(inside))
        case "table_open":
            return "\n".join(_show_rows(inside, lines))
        case "hr":
            return ""
        case _:
            return _join_blocks(inside, lines, in_quote=in_quote)


def _show_item(item: Sequence["Token"], lines: Sequence[str], *, in_quote: bool) -> str:
    """A list's item; a marker with nothing behind it stays, for it may be just a star."""
    opening = item[0]
    marker = f"{opening.info}{opening.markup}"
    text = _join_blocks(item[1:-1], lines, in_quote=in_quote).replace("\n\n", "\n").replace("\n", "\n  ")
    return f"{'•' if text and marker in ('-', '*') else marker} {text}".rstrip()


def _show_rows(table: Sequence["Token"], lines: Sequence[str]) -> Iterator[str]:
    cells: list[Token] = []
    is_head = False
    for token in table:
        if token.type in ("thead_open", "thead_close"):
            is_head = token.nesting == 1
        elif token.type == "inline":
            cells.append(token)
        elif token.type == "tr_close":
            surplus = _find_surplus(cells, lines)
            # Short rows are filled up with empty cells.
            while cells and not surplus and not cells[-1].content:
                cells.pop()
            shown = [_show_inline(cell.children or [], in_bold=is_head) for cell in cells]
            row = " · ".join([*shown, *surplus])
            if row.strip():
                yield f"*{row}*" if is_head else row
            cells = []


def _find_surplus(cells: Sequence["Token"], lines: Sequence[str]) -> list[str]:
    """What a row has to the right of the header's last column: the parser drops it."""
    if not cells or not cells[0].map:
        return []
    line, end = lines[cells[0].map[0]].replace("\\|", "|"), 0
    for cell in cells:
        end = line.find(cell.content, end) + len(cell.content)
    return [part for each in line[end:].split("|") if (part := each.strip())]


def _show_code(token: "Token", lines: Sequence[str]) -> str:
    code = token.content.rstrip("\n")
    info = token.info.strip()
    last = lines[token.map[1] - 1] if token.map else ""
    is_closed = last.strip(" \t>").startswith(token.markup)
    if info and not is_closed:  # WhatsApp's own way to write code: its first word is no language
        code = code.removesuffix(token.markup)
    if info and not (is_closed and code and LANGUAGE.fullmatch(info)):
        code = f"{info}\n{code}".rstrip()  # words behind the opening fence
    return code if "```" in code or not code.strip() else f"```{code}```"


def _embolden(children: Sequence["Token"]) -> str:
    text = _show_inline(children, in_bold=True)
    return "\n".join(f"*{line}*" if line.strip() else line for line in text.split("\n"))


def _show_inline(children: Sequence["Token"], *, in_bold: bool = False) -> str:
    """A run of text. Marks are closed at the end of a line and opened on the next, as WhatsApp wants them."""
    within_words = _find_marks_within_words(children)
    depths = dict.fromkeys(MARKS.values(), 0) | {"*": int(in_bold)}
    opened: list[str] = []
    out: list[str] = []
    links: list[tuple[str, bool, int]] = []
    for index, token in enumerate(children):
        kind, _, edge = token.type.partition("_")
        if kind in MARKS:
            mark = MARKS[kind]
            if index in within_words:
                out.append(within_words[index])
                continue
            depths[mark] += token.nesting
            if edge == "open" and depths[mark] == 1:
                opened.append(mark)
                out.append(mark)
            elif edge == "close" and depths[mark] == 0:
                opened.remove(mark)
                out.append(mark)
        elif token.type in ("softbreak", "hardbreak"):
            out.append("".join(reversed(opened)) + "\n" + "".join(opened))
        elif token.type == "link_open":
            is_picture = index > 0 and children[index - 1].content.endswith("!")
            if is_picture:
                out[-1] = out[-1][:-1]
            links.append(
                (str(token.attrs.get("href", "")) if token.info != "auto" else "", is_picture, len(out))
            )
        elif token.type == "link_close":
            url, is_picture, start = links.pop()
            label = "".join(out[start:])
            if url and url not in (label, f"mailto:{label}") and not (is_picture and label.strip()):
                out.append(f" ({url})" if label.strip() else url)
        elif token.type == "code_inline":
            out.append(f"`{token.content}`" if "`" not in token.content else token.content)
        else:
            out.append(token.content)
    return "".join(out)


def _find_marks_within_words(children: Sequence["Token"]) -> dict[int, str]:
    """Marks that touch a word from outside, which WhatsApp would not heed, by their places: what to show for each.

    The stars of 2*3*4 stay. Those in scripts that write words together go, because there they were meant as marks.
    """
    found: dict[int, str] = {}
    before, after = _get_neighbours(children), _get_neighbours(children[::-1], edge=0)[::-1]
    openings: list[int] = []
    for index, token in enumerate(children):
        if token.type.partition("_")[0] not in MARKS:
            continue
        if token.nesting == 1:
            openings.append(index)
            continue
        start = openings.pop()
        touching = [letter for letter in (before[start], after[index]) if WORD.match(letter)]
        if touching:
            shown = token.markup if any(letter.isascii() for letter in touching) else ""
            found |= {start: shown, index: shown}
    return found


def _get_neighbours(children: Sequence["Token"], *, edge: int = -1) -> list[str]:
    """For each token the character shown just before it."""
    neighbours, last = [], ""
    for token in children:
        neighbours.append(last)
        if token.type == "text":
            last = token.content[edge] if token.content else last
        elif token.nesting == 0:  # a line's end, code, a picture
            last = " "
    return neighbours
