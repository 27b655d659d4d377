"""Static files under names that hold a hash of their content, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

MODULE_IMPORTS = (
    "*.js",
    (
        (
            # import … from "./a.js", export … from "./a.js", import "./a.js". Django's own pattern wants a semicolon,
            # which our modules don't write.
            r"""(?P<matched>(?P<what>(?m:^)\s*(?:import|export)\s(?:[^'"`;()]*?\sfrom\s)?\s*)["'](?P<url>\.{1,2}/[^"']+)["'])""",
            """%(what)s"%(url)s\"""",
        ),
        (r"""(?P<matched>\bimport\(["'](?P<url>\.{1,2}/[^"']+)["']\))""", """import("%(url)s")"""),
    ),
)


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Also rewrites the imports of ES modules: a page gets one version of all of them, and never two copies of one.

    Modules must not import each other in a circle: the names would depend on each other, and collectstatic fails.
    """

    patterns = (*CompressedManifestStaticFilesStorage.patterns, MODULE_IMPORTS)
    max_post_process_passes = 20
    """Each pass settles one level of imports; Django's 5 would be too few for modules nested deeper than that."""
