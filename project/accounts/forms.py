"""The forms of accounts: allauth's with the site's wording, and the site's own."""

from datetime import timedelta
from typing import Any

from allauth.account import forms as allauth
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context, ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat import api
from chat.rendering.visible_text import is_blank, tidied
from chat.services import tokens
from project.accounts import signup, skeletons, usernames
from project.accounts.adapter import INVITATION_KEY, AccountAdapter
from project.accounts.errors import NameTaken
from project.accounts.models import SiteSettings
from project.accounts.reset import ResetTokens, keep_proven

NAME_CHARS = 60
LOGIN_CHARS = 254
"""As long as an e-mail address may be; user names are shorter."""
# Control characters, and those that would reverse the direction of the text after the name.
NAME_HINT = _("What others see. Your real name helps them.")
USERNAME_HINT = _("Others mention you with it: @name.")
PASSWORD_HINT = _("At least 8 characters, and nothing that is easily guessed.")


class NameField(forms.CharField):
    """The name that others see, stored as ``first_name``."""

    def __init__(self, **options: Any):
        options.setdefault("label", _("Display name"))
        widget = forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"})
        super().__init__(**{"max_length": NAME_CHARS, "widget": widget, "help_text": NAME_HINT, **options})

    def clean(self, value: Any) -> str:
        text = tidied(str(super().clean(value)))
        if is_blank(text):
            raise ValidationError(_("This name has characters that can't be shown."))
        return text


def put(form: Any, name: str, *, label: Any = None, hint: Any = "", **attributes: str) -> None:
    """Give a field the site's label, hint and attributes."""
    field = form.fields[name]
    if label is not None:
        field.label = label
    field.help_text = hint
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs.update(attributes)


# Signing in and up ---------------------------------------------------------------------------------------------------


class LoginForm(allauth.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # allauth's field has no limit, and SQLite refuses to look up a text that is too long.
        self.fields["login"].validators.append(MaxLengthValidator(LOGIN_CHARS))
        put(
            self,
            "login",
            label=_("User name or e-mail"),
            autocomplete="username",
            autocapitalize="none",
            spellcheck="false",
        )
        put(self, "password", label=_("Password"))

    def user_credentials(self) -> dict[str, Any]:
        """The same text as a name alone: allauth's backend tries that as an address first, and it would check the
        password of a text that is given as both twice."""
        credentials: dict[str, Any] = super().user_credentials()
        return {name: value for name, value in credentials.items() if name != "email" or "username" not in credentials}


class SignupForm(allauth.SignupForm):  # type: ignore[misc]
    """The sign-up form. ``try_save`` raises an ``AccountError`` if the account can't be made after all."""

    first_name = NameField()
    field_order = ("first_name", "username", "email", "password1")
    may_be_reserved = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        put(
            self, "username",
            label=_("User name"), hint=USERNAME_HINT, autocomplete="username", autocapitalize="none",
            spellcheck="false", maxlength=str(usernames.MOST),
        )  # fmt: skip
        self.fields["username"].max_length = usernames.MOST
        put(self, "email", label=_("E-mail"), hint=_("For a forgotten password. Only those who run this site see it."))
        put(self, "password1", label=_("Password"), hint=PASSWORD_HINT)

    def clean_username(self) -> str:
        name = str(super().clean_username())
        if len(name) > usernames.MOST:
            raise ValidationError(_("A user name has at most %(most)s characters.") % {"most": usernames.MOST})
        if not self.may_be_reserved:
            usernames.not_reserved(name)
        return name

    def try_save(self, request: HttpRequest) -> tuple[Any, HttpResponse | None]:
        if self.account_already_exists:
            return super().try_save(request)  # type: ignore[no-any-return]
        code = request.session.get(INVITATION_KEY, "")
        user = signup.make_account(lambda: self._save_if_free(request), code=code)
        request.session.pop(INVITATION_KEY, None)
        return user, None

    def _save_if_free(self, request: HttpRequest) -> Any:
        # Check again under the site's lock: the database would accept the same name in other letter case, and a
        # sign-in with either would then match two accounts.
        try:
            self.clean_username()
        except ValidationError:
            raise NameTaken from None
        return self.save(request)


class OwnerForm(SignupForm):
    """The form for the first account, which gets all rights and an e-mail address that counts as confirmed."""

    may_be_reserved = True

    def save(self, request: HttpRequest) -> Any:
        owner = super().save(request)
        owner.is_staff = owner.is_superuser = True
        owner.save(update_fields=["is_staff", "is_superuser"])
        # Mail may not be set up yet, and the site's owner must not be locked out.
        EmailAddress.objects.filter(user=owner).update(verified=True)
        return owner


class OnePassword:
    """Asks for a new password only once, because browsers can show and save what was typed."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        del self.fields["password2"]
        put(self, "password1", label=_("New password"), hint=PASSWORD_HINT)


class OfferInput(forms.CheckboxInput):
    """A checkbox that counts as ticked unless it was shown to somebody who has cleared it."""

    def render(self, name: str, *args: Any, **options: Any) -> SafeString:
        seen = format_html('<input type="hidden" name="{}" value="1">', self._seen(name))
        return format_html("{}{}", seen, super().render(name, *args, **options))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> bool:
        return self._seen(name) not in data or bool(super().value_from_datadict(data, files, name))

    @staticmethod
    def _seen(name: str) -> str:
        return f"{name}_seen"


class TokenOffer:
    """Offers, ticked by default, to revoke the person's tokens along with the old password. A person without tokens is
    not asked; tokens that are made while the form is open are revoked."""

    fields: dict[str, forms.Field]
    cleaned_data: dict[str, Any]
    user: Any
    revoke_label: Any = _("Revoke my tokens, too")
    revoke_hint: Any = _("Programs that use one of them must be given a new one.")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if tokens.active(user=self.user):
            self.fields["revoke_tokens"] = forms.BooleanField(
                label=self.revoke_label,
                help_text=self.revoke_hint,
                required=False,
                initial=True,
                widget=OfferInput,
            )

    def save(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            saved = super().save(*args, **kwargs)  # type: ignore[misc]
            if self.cleaned_data.get("revoke_tokens"):
                api.revoke_tokens(self.user)
        return saved


class ChangePasswordForm(OnePassword, TokenOffer, allauth.ChangePasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        put(self, "oldpassword", label=_("Present password"))


class SetPasswordForm(OnePassword, TokenOffer, allauth.SetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordKeyForm(OnePassword, allauth.ResetPasswordKeyForm):  # type: ignore[misc]
    def save(self) -> None:
        """Save the password, revoke all tokens and remove unproven addresses: whoever had the account before must be
        locked out."""
        with transaction.atomic():
            proven = ResetTokens().address_of(self.user, self.temp_key)
            super().save()
            api.revoke_tokens(self.user)
            gone = keep_proven(self.user, proven) if proven else []
        if gone:
            said = gettext("E-mail addresses that were taken off your account: %s")
            messages.warning(context.request, said % ", ".join(gone))


class UserTokenForm(allauth.UserTokenForm):  # type: ignore[misc]
    token_generator = ResetTokens()


class ResetPasswordForm(allauth.ResetPasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        put(self, "email", label=_("E-mail"))

    def save(self, request: HttpRequest, **options: Any) -> str:
        tokens_for = ResetTokens(self.cleaned_data["email"])
        return str(super().save(request, **options, token_generator=tokens_for))


class AddEmailForm(allauth.AddEmailForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        put(self, "email", label=_("E-mail"))


class ReauthenticateForm(allauth.ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        put(self, "password", label=_("Your password"))


# First run -----------------------------------------------------------------------------------------------------------


class SetupCodeForm(forms.Form):
    code = forms.CharField(
        label=_("Set-up code"),
        max_length=40,
        help_text=_("It stands where the site was started, in the terminal or in the server's log."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )


class FirstRoomsForm(forms.Form):
    name = forms.CharField(label=_("Name of the site"), max_length=60, widget=forms.TextInput(attrs={"dir": "auto"}))
    rooms = forms.CharField(
        label=_("First rooms"),
        help_text=_("One on each line. They are open to everybody here, and new people are in them from the start."),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
        max_length=1200,
    )

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])

    def clean_rooms(self) -> list[str]:
        """The room names without duplicates, ignoring case."""
        lines = filter(None, map(clean_line, self.cleaned_data["rooms"].splitlines()))
        first: dict[str, str] = {}
        for line in lines:
            first.setdefault(line.casefold(), line)
        names = list(first.values())
        if not names:
            raise ValidationError(_("Name one room at least."))
        if len(names) > 10:
            raise ValidationError(_("Ten rooms are enough to start with."))
        if any(len(name) > 100 for name in names):
            raise ValidationError(_("The name of a room has at most 100 characters."))
        return names


class AccessForm(forms.Form):
    sign_up = forms.ChoiceField(
        label=_("Who may sign up"), choices=SiteSettings.SignUp.choices, widget=forms.RadioSelect
    )


def clean_line(text: str) -> str:
    line = tidied(text)
    if text.strip() and is_blank(line):
        raise ValidationError(_("This name has characters that can't be shown."))
    return line


# Settings ------------------------------------------------------------------------------------------------------------


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    first_name = NameField()

    class Meta:
        model = get_user_model()
        fields = ("first_name", "username")
        labels = {"username": _("User name")}  # noqa: RUF012
        help_texts = {"username": USERNAME_HINT}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # Accounts made in the admin may have a first and a last name. Show them as one name, and store it as one.
        self.initial["first_name"] = self.instance.get_full_name()
        put(self, "username", hint=USERNAME_HINT, autocomplete="username", autocapitalize="none", spellcheck="false")
        self.fields["username"].widget.attrs.pop("autofocus", None)

    def clean_username(self) -> str:
        name = str(self.cleaned_data["username"])
        if name == self.initial.get("username"):
            return name  # an unchanged name may break rules that are newer than it is
        name = self._meta.model.normalize_username(name)
        if len(name) > usernames.MOST:
            raise ValidationError(_("A user name has at most %(most)s characters.") % {"most": usernames.MOST})
        if not self.instance.is_superuser:
            usernames.not_reserved(name)
        get_adapter().clean_username(name, shallow=True)
        if skeletons.is_taken(name, besides=self.instance):
            raise ValidationError(AccountAdapter.error_messages["username_taken"])
        return str(name)

    def save(self, commit: bool = True) -> Any:
        self.instance.last_name = ""
        return super().save(commit)


class DeleteAccountForm(forms.Form):
    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        # The same rate limit as allauth's own page that asks for the password: somebody who finds an open browser must
        # not be able to guess until it is right.
        if not ratelimit.consume(context.request, action="reauthenticate", user=self.user):
            raise ValidationError(_("Too many failed attempts. Try again in some minutes."))
        if not self.user.check_password(password):
            raise ValidationError(_("That is not your password."))
        return password


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SiteSettings
        fields = ("name", "sign_up", "members_invite")
        widgets = {"sign_up": forms.RadioSelect}  # noqa: RUF012

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])


class InvitationForm(forms.Form):
    LIFETIMES = (("1", _("One day")), ("7", _("One week")), ("30", _("30 days")), ("", _("It does not expire")))

    note = forms.CharField(
        label=_("Note"),
        max_length=100,
        required=False,
        help_text=_("Only you and the owners of the site see it, for example who it is for."),
    )
    days = forms.ChoiceField(label=_("Valid for"), choices=LIFETIMES, required=False, initial="7")
    max_uses = forms.IntegerField(
        label=_("Number of people"), min_value=1, max_value=10_000, required=False, help_text=_("Empty: no limit.")
    )

    def clean_note(self) -> str:
        return clean_line(self.cleaned_data["note"])

    def options(self) -> dict[str, Any]:
        """The keyword arguments for ``invitations.create``."""
        days = self.cleaned_data["days"]
        return {
            "lifetime": timedelta(days=int(days)) if days else None,
            "max_uses": self.cleaned_data["max_uses"],
            "note": self.cleaned_data["note"],
        }
