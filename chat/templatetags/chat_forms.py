"""Form controls in the look of the chat, for its own pages and for a site's around it."""

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def control(field: BoundField) -> SafeString:
    """The field's input, select or text area with the class that the style sheet knows.

    One that is wrong gets the focus: of several, the browser takes the first.
    """
    own = field.field.widget.attrs.get("class", "")
    focus = {"autofocus": True} if field.errors else {}
    return field.as_widget(attrs={"class": f"field__input {own}".rstrip(), **focus})
