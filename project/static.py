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
            # import … from "./a.js", export … from "./a.js", import "./a.js". Django's own pattern requires a
            # semicolon, which our modules do not have.
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
"""Matches lines that are blank or only a comment, indents, and JSDoc casts. Our modules have no multi-line strings that
this could damage. The available minifiers join lines, and so break class fields without a semicolon."""
SPACED = re.compile(
    r"""("[^"\n]*"|'[^'\n]*'|`[^`\n]*`)"""
    r"""|[ \t]*(=>|[=?:,{}()\[\]<>&|*!])[ \t]*"""
    r"""|(?<![-+])[ \t]*([-+])(?![ \t]*[-+])[ \t]*"""
)
"""Matches a string, which is kept, or an operator or bracket that needs no spaces around it."""
OPENING, CLOSING = (",", "{", "(", "["), ("}", ")", "]")
SLASHES = re.compile(r"""(?:[^'"`/]|"[^"]*"|'[^']*'|`[^`]*`)*/""")
"""Matches up to a slash outside of strings: it may begin a regular expression, whose spaces count."""


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also rewrites the imports of ES modules, so that a page loads one version of all modules, and none twice.

    Modules must not import each other in a cycle: their names would depend on each other, and collectstatic fails. Our
    own are saved without comments, indents and needless spaces, which are two fifths of what a first visit would load.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, MODULE_IMPORTS)
    max_post_process_passes = 20
    """Each pass resolves one level of imports. Django's 5 passes are too few for modules nested deeper than that."""

    def save(self, name: str, content: Any, max_length: int | None = None) -> str:
        if _is_ours(name):
            content = ContentFile(_dense(FOR_READERS.sub("", content.read().decode())).encode())
        saved: str = super().save(name, content, max_length)
        return saved

    def file_hash(self, name: str, content: Any = None) -> str | None:
        # 32 bits are enough to tell the versions of one file apart. Shorter is better: each module names a dozen
        # others, and hashes do not compress.
        digest: str | None = super().file_hash(name, content)
        return digest and digest[:8]

    def post_process(self, paths: dict[str, Any], **options: Any) -> Iterator[Any]:
        # Hash our modules as save() has written them, not their sources.
        made = {name: (self, name) if _is_ours(name) else place for name, place in paths.items()}
        yield from super().post_process(made, **options)


def _is_ours(name: str) -> bool:
    return name.endswith(".js") and name.startswith(OWN_FOLDER)


def _dense(source: str) -> str:
    """Remove needless spaces, and line ends after a comma or inside of brackets, where no statement ends. Lines with a
    slash, which may be in a regular expression or a comment, are kept as they are."""
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
