"""The forms of the pages. They read and clean the input; the services decide what is allowed."""

from typing import Any
from uuid import uuid4

from django import forms
from django.utils.translation import gettext_lazy as _

from chat.error_messages import sentence_of
from chat.models.rooms import NAME_CHARS, TOPIC_CHARS
from chat.models.tokens import LABEL_CHARS
from chat.services import limits
from chat.wire.errors import ChatError


class ServiceForm(forms.Form):
    """A form that can also say what a service refused."""

    def refuse(self, error: ChatError) -> None:
        """Show the refusal at the field that it names, or above the form."""
        self.add_error(error.field if error.field in self.fields else None, sentence_of(error))


class RoomForm(ServiceForm):
    """A room's name and topic."""

    name = forms.CharField(label=_("Name"), max_length=NAME_CHARS, widget=forms.TextInput(attrs={"dir": "auto"}))
    topic = forms.CharField(
        label=_("Topic (optional)"),
        max_length=TOPIC_CHARS,
        required=False,
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)  # type: ignore[arg-type]
        for field in self.fields.values():
            if getattr(field.widget, "input_type", "text") == "text":
                field.widget.attrs["autocomplete"] = "off"


class NewRoomForm(RoomForm):
    """A new room. ``client_id`` stays the same however often one form is sent, so that it makes one room."""

    kind = forms.ChoiceField(
        label=_("Who can find and join it"),
        choices=[("open", _("Open: everybody here")), ("private", _("Private: only people you add"))],
        initial="open",
        widget=forms.RadioSelect,
    )
    client_id = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)


class TokenForm(ServiceForm):
    """A new token. Its person gives their password again, unless ``is_fresh`` says that they have just done so.

    Somebody who signs in without a password here cannot do that: ``is_locked`` then says that only a new sign-in helps.
    """

    password = forms.CharField(
        label=_("Your password"),
        help_text=_("Asked for again, because a token outlives this session."),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    name = forms.CharField(
        label=_("Name"),
        max_length=LABEL_CHARS,
        help_text=_("What it is for, so that you know later which one to revoke."),
        widget=forms.TextInput(attrs={"dir": "auto", "autocomplete": "off"}),
    )

    field_order = ("name", "password")

    def __init__(self, *args: Any, user: Any, is_fresh: bool, **options: Any):
        super().__init__(*args, **options)
        self._user = user
        self.is_locked = not is_fresh and not user.has_usable_password()
        if is_fresh or self.is_locked:
            del self.fields["password"]

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if limits.password_wait_s(str(self._user.pk)):
            raise forms.ValidationError(_("Too many attempts. Try again in some minutes."))
        if not self._user.check_password(password):
            raise forms.ValidationError(_("That is not your password."))
        return password

    def clean(self) -> dict[str, Any] | None:
        if self.is_locked:
            raise forms.ValidationError(_("Sign out and in again first."))
        return super().clean()
