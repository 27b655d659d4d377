"""The one renderer: Markdown as people write it in chat → sanitised HTML, stored with the message.

Pure functions, rank 1. Three stages: markdown-it parses (raw HTML off), Pygments marks code with CSS classes, nh3
keeps only what is on the allow-lists below. The parser decides only how things look; nh3 decides what may reach a page.
Most chat lines need none of it, and take a fast path with the very same result.

Chat's flavour: a newline is a line break; headings are bold lines, so that a message cannot join the page's outline;
no images (the link stays), no footnotes and no indented code, which swallow or restyle text that people paste.
"""

import logging
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from html import escape
from types import MappingProxyType
from typing import Any

import nh3
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.table import table as _table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from chat.rendering import highlighting
from chat.runtime.safe_logging import describe

logger = logging.getLogger(__name__)

MARKUP_CHARS = 10_000
"""A longer body is shown as plain text: an attacker chooses the cost of parsing, and this length bounds it."""
MARKUP_SIGNS = 2_500
"""A body with more markup characters than this is ASCII art or an attack, and is shown as plain text: nested and
unclosed markup takes a parser longest. Code counts too, because only the parser knows what is code; 10,000 characters
of C have 900."""
MARKUP_LINKS = 100
"""The same for links: the link finder looks back over all the text before each (1,200 of them take 400 ms)."""
NESTING = 12
"""Deepest nesting of quotes and lists (a list counts twice); what lies deeper is shown as text."""
TABLE_CELLS = 2_000
"""Columns × lines. A table that could have more cells is left as text: two characters a line can ask for any number."""
HIGHLIGHT_CHARS = 4_000
"""Characters of code in one message that are coloured; the rest is shown without colours."""
GROWTH = 4
"""How many times the characters of a body its HTML may have, because every member is sent it. Quotes of one letter
would have nine times as many, code of one-letter words nineteen."""
SMALL_HTML = 4_000
"""Characters that any HTML may have: a short message of links is more markup than text."""
TAGS = frozenset(
    "a blockquote br code em hr li ol p pre s span strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
"""The only tags that a message's HTML can hold."""
HANDLES = 50
"""Most different handles that one message can mention."""

# Anything that Markdown, the link finder or the HTML serialiser might treat as more than text. There are two searches,
# because a set of characters is searched ten times as fast as alternatives; the second runs only if the first matches.
_SIGN = re.compile(r"[`*_~\[\]\\&<:|\x00-\x09\x0b-\x1f\x7f-\xa0]")
_MARKUP = re.compile(
    r"[`*_\[\]\\\x00-\x09\x0b-\x1f\x7f-\xa0]|~~|&[#a-zA-Z]|<[^<>\s]*>|://|mailto:",
    re.IGNORECASE,
)
_LINE_MARKUP = re.compile(r"^(?:[-+#>|~]|:[-|: ]|\d+[.)]|[^\S\n])|[^\S\n]$", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n\n+")
_LINKS = re.compile(":/|mailto:", re.IGNORECASE)
_SIGNS = re.compile(r"[`*_~\[\]\\&<>:|!@-]")
# A handle stands alone: not in an address (ana@host), a path (/@ana) or a longer run of signs. The possessive
# quantifier keeps matching linear.
_HANDLE = re.compile(r"(?<![^\W_])(?<![@./+-])@(\w[\w.+-]{0,149}+)(?![\w@])")
# The rest of these signs stand for themselves (HTML Standard, 13.1.4 and 13.2.5.6).
_REFERENCE = re.compile(r"&(?=[#0-9A-Za-z])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_GAP = re.compile(r"\n{3,}")
_URL = re.compile(r"(?:https?|mailto):", re.IGNORECASE)
_SAFE_ID = re.compile(r"[\w.:-]{1,64}\Z", re.ASCII)


# Public --------------------------------------------------------------------------------------------------------


def is_plain(body: str) -> bool:
    """Whether ``body`` needs no Markdown, so that ``render`` takes microseconds. Mentions count as plain."""
    if _SIGN.search(body) and _MARKUP.search(body):
        return False
    return bool(body) and body[0] != "\n" and body[-1] != "\n" and not _LINE_MARKUP.search(body)


def handles(body: str) -> list[str]:
    """Return the distinct @handles outside code and links, as they are spelt, in order, at most 50, without the ``@``.

    Where the underscore of ``@ana_`` may belong to the name or end an emphasis, both spellings are returned.
    """
    if "@" not in body:
        return []
    found: dict[str, None] = {}
    if is_plain(body):
        _find_plain(body, found)
    elif not _is_excessive(body):
        try:
            _parser().parse(body, {"found": found, "mentions": {}})
        except Exception:  # `render` shows such a body as plain text, and logs why
            _find_plain(body, found)
    return list(found)[:HANDLES]


def render(body: str, mentions: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return ``body`` as sanitised HTML. Never raises: a body on which the parser fails is shown as plain text.

    So is one of which the HTML would be larger than ``GROWTH`` allows, once code without colours has not made it small
    enough; its mentions are not marked.

    Args:
        mentions: Handle, as it is spelt in ``body`` → user id. Only these become
            ``<span class="mention" data-user="ID">@ana</span>``; all others stay text.
    """
    if is_plain(body):
        return _bounded(body, iter([_plain(body, mentions)]))
    try:
        return render_by_parser(body, mentions)
    except Exception as error:
        # If this raised, every attempt to post the message would fail, and the messages behind it in an outbox would
        # wait.
        logger.warning("a message is shown as plain text: %s", describe(error))
        return _bounded(body, iter([_plain(body, mentions)]))


def render_by_parser(body: str, mentions: Mapping[str, str] = MappingProxyType({})) -> str:
    """What ``render`` does without its fast path: the same HTML for every text. For tests, and for text with markup."""
    return _bounded(body, map(str.strip, map(_cleaner().clean, _renderings(body, mentions))))


def highlight_css() -> str:
    """The style sheet for code, which chat/static/chat/css/code.css holds."""
    return highlighting.css()


def _bounded(body: str, renderings: Iterator[str]) -> str:
    """The first of the renderings that is small enough, or else the text alone."""
    most = max(GROWTH * len(body), SMALL_HTML)
    for html in renderings:
        if len(html) <= most:
            return html
    return _text_alone(body)


def _renderings(body: str, mentions: Mapping[str, str]) -> Iterator[str]:
    if _is_excessive(body):
        yield f"<p>{escape(body, quote=False).replace(chr(10), '<br>' + chr(10))}</p>"
        return
    parser, env = _parser(), {"mentions": mentions}
    tokens = parser.parse(body, env)
    yield parser.renderer.render(tokens, parser.options, env)
    if env.get("coloured"):
        yield parser.renderer.render(tokens, parser.options, {**env, "coloured": HIGHLIGHT_CHARS})


def _text_alone(body: str) -> str:
    """``body`` in as little HTML as it takes: three times its characters, and those of the paragraph."""
    text = _TAG.sub("&lt;", _REFERENCE.sub("&amp;", _GAP.sub("\n\n", body)))
    return f"<p>{text.replace(chr(10), '<br>')}</p>"


# Plain text ----------------------------------------------------------------------------------------------------


def _find_plain(body: str, found: dict[str, None]) -> None:
    for match in _HANDLE.finditer(body):
        found.update(dict.fromkeys(_spellings(match)))


def _plain(body: str, mentions: Mapping[str, str]) -> str:
    html = escape(body, quote=False) if "&" in body or "<" in body or ">" in body else body
    if mentions and "@" in html:
        html = _HANDLE.sub(lambda match: _mentioned(match, mentions), html)
    if "\n" in html:
        html = "</p>\n<p>".join(part.replace("\n", "<br>\n") for part in _PARAGRAPHS.split(html))
    return f"<p>{html}</p>"


def _mentioned(match: re.Match[str], mentions: Mapping[str, str]) -> str:
    for spelling in _spellings(match):
        if user := _resolved(spelling, mentions):
            rest = match[0][1 + len(spelling) :]
            return _mention_html(spelling, user) + rest
    return match[0]


def _is_excessive(body: str) -> bool:
    if len(body) > MARKUP_CHARS or len(_LINKS.findall(body)) > MARKUP_LINKS:
        return True
    if len(body) <= MARKUP_SIGNS:
        return False
    return len(_SIGNS.findall(body)) > MARKUP_SIGNS


# Mentions ------------------------------------------------------------------------------------------------------


def _spellings(match: re.Match[str]) -> tuple[str, ...]:
    """What may be the handle in ``@ana.`` or ``@ana_``: punctuation is left out, an underscore may end emphasis."""
    whole = match[1].rstrip(".+-")
    bare = whole.rstrip("_")
    return (whole,) if bare in ("", whole) else (whole, bare)


def _resolved(handle: str, mentions: Mapping[str, str]) -> str | None:
    # The fast path and the parser would escape an id with other characters differently; no user model has one.
    user = mentions.get(handle)
    return user if user and _SAFE_ID.match(user) else None


def _mention_html(handle: str, user: str) -> str:
    return f'<span class="mention" data-user="{user}">@{handle}</span>'


def _mention_rule(state: StateInline, silent: bool) -> bool:
    """markdown-it's inline rule: notes every candidate in ``env["found"]``, consumes the resolved ones."""
    if state.linkLevel or state.src[state.pos] != "@" or not (match := _HANDLE.match(state.src, state.pos)):
        return False
    spellings = _spellings(match)
    found = state.env.get("found")
    if found is not None and not silent:
        found.update(dict.fromkeys(spellings))
    for spelling in spellings:
        if user := _resolved(spelling, state.env["mentions"]):
            if not silent:
                state.push("mention", "", 0).meta = {"handle": spelling, "user": user}
            state.pos += 1 + len(spelling)
            return True
    return False


# Parser and sanitiser ------------------------------------------------------------------------------------------


@cache
def _parser() -> MarkdownIt:
    noisy = logging.getLogger("markdown_it")
    if noisy.level == logging.NOTSET:
        noisy.setLevel(logging.INFO)  # at DEBUG it logs each rule of each paragraph; a level set by the site stays
    parser = MarkdownIt(
        "default",
        # Past this limit, markdown-it drops text. Blocks never reach it: `_as_text_if_too_deep` stops them at NESTING,
        # and a list adds two levels at once.
        {"html": False, "breaks": True, "linkify": True, "maxNesting": NESTING + 2},
    )
    # "reference" makes lines vanish, "lheading" makes a heading of text above dashes, "code" boxes indented text.
    parser.disable(
        [
            "reference",
            "lheading",
            "code",
            "image",
            "html_block",
            "html_inline",
            "replacements",
            "smartquotes",
        ]
    )
    # Explicit schemes only: if "example.com" became a link, `is_plain` could not recognise plain text quickly.
    parser.linkify = LinkifyIt(
        schemas={"ftp:": None, "//": None},
        options={"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False},
    )
    parser.validateLink = _is_link  # type: ignore[method-assign]
    parser.block.ruler.before("table", "too_deep", _as_text_if_too_deep)
    parser.block.ruler.at("table", _bounded_table, {"alt": ["paragraph"]})
    parser.inline.ruler.before("linkify", "mention", _mention_rule)
    for name, rule in {
        "heading_open": _bold_open,
        "heading_close": _bold_close,
        "fence": _fence,
        "mention": _mention,
    }.items():
        parser.renderer.rules[name] = rule  # type: ignore[attr-defined]
    return parser


@cache
def _cleaner() -> nh3.Cleaner:
    # A link leaves the room open (target), gives the other page no access to this one (noopener), and tells search
    # engines not to count it (nofollow ugc).
    return nh3.Cleaner(
        tags=set(TAGS),
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}, "span": {"data-user"}},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        allowed_classes={
            "code": {f"language-{name}" for name in set(highlighting.LANGUAGES.values())},
            "span": {"mention", *highlighting.classes()},
        },
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener nofollow ugc",
    )


def _is_link(url: str) -> bool:
    return bool(_URL.match(url))


def _as_text_if_too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if silent or state.level < NESTING:
        return False
    line = start + 1
    # A negative indent marks a line that continues the one above it without repeating the quote's ">".
    while line < end and not state.isEmpty(line) and not 0 <= state.sCount[line] < state.blkIndent:
        line += 1
    state.line = line
    state.push("paragraph_open", "p", 1).map = [start, line]
    text = state.push("inline", "", 0)
    text.content, text.map, text.children = (
        state.getLines(start, line, state.blkIndent, False).strip(),
        [start, line],
        [],
    )
    state.push("paragraph_close", "p", -1)
    return True


def _bounded_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if start + 1 >= end:
        return False
    dashes = state.src[state.bMarks[start + 1] : state.eMarks[start + 1]]
    return (dashes.count("|") + 1) * (end - start) <= TABLE_CELLS and _table(state, start, end, silent)


def _bold_open(*_: Any) -> str:
    return "<p><strong>"


def _bold_close(*_: Any) -> str:
    return "</strong></p>\n"


def _fence(tokens: Sequence[Token], index: int, _: OptionsDict, env: MutableMapping[str, Any]) -> str:
    code, info = tokens[index].content, tokens[index].info.strip()
    words = info.split()
    language = highlighting.LANGUAGES.get(words[0].lower()) if words else None
    if language is None:
        # A single word above code names a language that we don't colour. Anything else is text that begins there.
        code = f"{info}\n{code}" if len(words) > 1 or (words and not code.strip()) else code
        return f"<pre><code>{escape(code)}</code></pre>\n"
    coloured = min(len(code), HIGHLIGHT_CHARS - env.get("coloured", 0))
    env["coloured"] = env.get("coloured", 0) + coloured
    html = highlighting.spans(code[:coloured], language) + escape(code[coloured:])
    return f'<pre><code class="language-{language}">{html}</code></pre>\n'


def _mention(tokens: Sequence[Token], index: int, *_: Any) -> str:
    return _mention_html(**tokens[index].meta)
