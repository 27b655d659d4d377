"""The rules for user names: a name can be mentioned with @, and can't be mistaken for another."""

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, RegexValidator
from django.utils.translation import gettext_lazy as _

from chat.rendering.name_keys import name_key
from chat.rendering.visible_text import FILLERS

MOST = 40
RESERVED = frozenset(
    (
        *("admin", "administrator", "moderator", "owner", "root", "staff", "support", "security", "system"),
        *("all", "channel", "everybody", "everyone", "here", "room"),
        *("anonymous", "bot", "deleted", "hearth", "nobody", "webmaster", "postmaster"),
    )
)
"""Keys of names (``chat.rendering.name_keys``) that seem to speak for the site, or to address everybody in a room."""
LOOKALIKES = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}
"""Scripts whose letters look alike, as the first words of Unicode's character names."""


def not_reserved(name: str) -> None:
    """Raise ``ValidationError`` for a name that nobody but the site's owner may take."""
    if name_key(name) in RESERVED:
        raise ValidationError(_("This name is reserved. Choose another."))


def one_script(name: str) -> None:
    """Raise ``ValidationError`` for a name such as "аna", with a Cyrillic а."""
    scripts = {unicodedata.name(each, "").partition(" ")[0] for each in name}
    if len(scripts & LOOKALIKES) > 1:
        raise ValidationError(_("This name mixes letters of scripts that look alike."))


VALIDATORS = [
    MinLengthValidator(2),
    RegexValidator(
        rf"\A(?!.*[{FILLERS}])\w(?:[\w.-]*\w)?\Z",
        _("Letters, digits, dots, hyphens and underscores, with a letter or digit at both ends."),
    ),
    one_script,
]
