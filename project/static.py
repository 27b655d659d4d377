"""Static files under names that hold a hash of their content, so that browsers may keep them for ever."""

import re
from collections.abc import Iterator
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

MODULE_IMPORTS = (
    "*.js",
    (
        (
            # import … from "./a.js", export … from "./a.js", import "./a.js". Django's own pattern wants a semicolon,
            # which our modules don't write.
            r"""(?P<matched>(?P<what>(?m:^)\s*(?:import|export)\b\s*(?:[^'"`;()]*?\bfrom\s*)?)["'](?P<url>\.{1,2}/[^"']+)["'])""",
            """%(what)s"%(url)s\"""",
        ),
        (r"""(?P<matched>\bimport\(["'](?P<url>\.{1,2}/[^"']+)["']\))""", """import("%(url)s")"""),
    ),
)

OWN_FOLDER = "chat/"
FOR_READERS = re.compile(
    r"^[ \t]*(?://.*|/\*(?:.|\n)*?\*/[ \t]*)?(?:\n|\Z)|^[ \t]+|/\*\* @type [^\n]*?\*/ ?", re.MULTILINE
)
"""Lines that hold nothing but a comment, indents, and casts of types. Our modules write no string over several lines,
so nothing is cut out of one. Minifiers at hand break class fields that end without a semicolon, for they join lines."""
SPACED = re.compile(
    r"""("[^"\n]*"|'[^'\n]*'|`[^`\n]*`)"""
    r"""|[ \t]*(=>|[=?:,{}()\[\]<>&|*!])[ \t]*"""
    r"""|(?<![-+])[ \t]*([-+])(?![ \t]*[-+])[ \t]*"""
)
"""A string, which stays as it is, or a sign that needs no blanks around it."""
OPENING, CLOSING = (",", "{", "(", "["), ("}", ")", "]")
SLASHES = re.compile(r"""(?:[^'"`/]|"[^"]*"|'[^']*'|`[^`]*`)*/""")
"""A slash outside of strings: perhaps a regular expression, whose blanks count."""


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also rewrites the imports of ES modules: a page gets one version of all of them, and never two copies of one.

    Modules must not import each other in a circle: the names would depend on each other, and collectstatic fails.
    What is ours is saved without comments, indents and needless blanks: two fifths of what a first visit would load.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, MODULE_IMPORTS)
    max_post_process_passes = 20
    """Each pass settles one level of imports; Django's 5 would be too few for modules nested deeper than that."""

    def save(self, name: str, content: Any, max_length: int | None = None) -> str:
        if _is_ours(name):
            content = ContentFile(_dense(FOR_READERS.sub("", content.read().decode())).encode())
        saved: str = super().save(name, content, max_length)
        return saved

    def file_hash(self, name: str, content: Any = None) -> str | None:
        # 32 bits tell the versions of one file apart; each module names a dozen others, and hashes don't compress.
        digest: str | None = super().file_hash(name, content)
        return digest and digest[:8]

    def post_process(self, paths: dict[str, Any], **options: Any) -> Iterator[Any]:
        # Hashed from what save() has made of them, and not from their sources.
        made = {name: (self, name) if _is_ours(name) else place for name, place in paths.items()}
        yield from super().post_process(made, **options)


def _is_ours(name: str) -> bool:
    return name.endswith(".js") and name.startswith(OWN_FOLDER)


def _dense(source: str) -> str:
    """Without blanks that mean nothing, and without line ends next to a bracket or behind a comma, which end no
    statement. A line with a slash may hold a regular expression or a comment, and stays as it is."""
    parts: list[str] = []
    was_plain = ends_there = True
    for line in source.splitlines():
        is_plain = not SLASHES.match(line)
        text = SPACED.sub(lambda found: found[1] or found[2] or found[3], line) if is_plain else line
        if parts and ends_there and not (was_plain and text.startswith(CLOSING)):
            parts.append("\n")
        parts.append(text)
        was_plain, ends_there = is_plain, not (is_plain and text.endswith(OPENING))
    return "".join(parts) + "\n"
