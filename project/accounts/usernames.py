"""What a user name may be: something that can stand after @ in a message."""

from django.core.validators import MinLengthValidator, RegexValidator
from django.utils.translation import gettext_lazy as _

MOST = 40
VALIDATORS = [
    MinLengthValidator(2),
    RegexValidator(
        r"\A\w(?:[\w.-]*\w)?\Z",
        _("Letters, digits, dots, hyphens and underscores, with a letter or digit at both ends."),
    ),
]
