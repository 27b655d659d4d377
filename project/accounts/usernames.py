"""What a user name may be: something that can stand after @ in a message, and can't be taken for another one."""

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import MinLengthValidator, RegexValidator
from django.utils.translation import gettext_lazy as _

from chat.rendering.visible_text import FILLERS

MOST = 40
LOOKALIKES = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}
"""Scripts that share the look of letters, by how Unicode names these."""


def one_script(name: str) -> None:
    """Raises ``ValidationError`` for a name such as "аna", with a Cyrillic а."""
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
