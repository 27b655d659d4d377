"""Users, invitations and the site's settings in the admin. Changes that concern others go through the services."""

from contextlib import suppress
from typing import Any, ClassVar

import allauth.usersessions.admin  # noqa: F401 -- registers the admin that is unregistered below
from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F, JSONField, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, override

from chat.admin.lists import BoundedListAdmin
from chat.admin.search_bounds import BoundedAdmin
from project.accounts import invitations, signup, site, skeletons
from project.accounts.adapter import AccountAdapter
from project.accounts.errors import AccountError, InvitationNotValid, LastOwner, TooManyInvitations, UsedMoreOften
from project.accounts.forms import TokenOffer
from project.accounts.models import Invitation, SiteSettings

User = get_user_model()
admin.site.site_header = admin.site.site_title = _("Administration of the site")
admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.unregister(EmailAddress)
admin.site.unregister(UserSession)  # deleting such a row would leave the session itself and its sockets alive

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class UniqueName:
    """Refuses a user name that is, or looks like, another person's. One that is older than this rule stays as it is."""

    cleaned_data: dict[str, Any]
    instance: Any

    def clean_username(self) -> str:
        inherited = getattr(super(), "clean_username", None)
        name = str(inherited() if inherited else self.cleaned_data["username"])
        if self.instance.pk is None or name != User._base_manager.get(pk=self.instance.pk).get_username():
            besides = None if self.instance.pk is None else self.instance
            site.locked()  # if two take one name at once, the second gets the error
            if skeletons.is_taken(name, besides=besides):
                raise ValidationError(AccountAdapter.error_messages["username_taken"])
        return name


class NewPersonForm(UniqueName, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class PersonForm(UniqueName, UserChangeForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        """Raise ``ValidationError`` if nobody would be left who can manage the site."""
        given: dict[str, Any] = super().clean() or {}
        site.locked()  # if two owners take each other's rights at once, the second gets the error
        was = User.objects.filter(pk=self.instance.pk, is_superuser=True, is_active=True).exists()
        stays = given.get("is_superuser", was) and given.get("is_active", was)
        others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=self.instance.pk)
        if was and not stays and not others.exists():
            raise ValidationError(LastOwner.sentence)
        return given


class PasswordForm(TokenOffer, AdminPasswordChangeForm):  # type: ignore[type-arg]
    revoke_label = _("Revoke the person's tokens, too")


@admin.register(User)
class UserAdmin(BoundedListAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Only superusers give rights. Other staff change only accounts without rights: whoever can set the password or
    the address of an account can take over its rights."""

    form = PersonForm
    add_form = NewPersonForm
    change_password_form = PasswordForm
    change_user_password_template = "admin/password.html"  # noqa: S105 -- a template
    list_display = ("username", "first_name", "email", "is_active", "is_staff", "last_login", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("-date_joined",)
    actions = ("activate", "deactivate", "make_owner")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if _has_all_rights(request) else (*fixed, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_below(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_below(request, obj) and super().has_delete_permission(request, obj)

    @admin.action(description=_("Switch off the chosen accounts"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """End the sessions of the chosen accounts and close their sockets. The user's own account is left alone."""
        changed = self._switch(_below(request, queryset).exclude(pk=request.user.pk), active=False, by=request.user)
        self.message_user(request, ngettext("%d account is off.", "%d accounts are off.", changed) % changed)

    @admin.action(description=_("Switch on the chosen accounts"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        changed = self._switch(_below(request, queryset), active=True, by=request.user)
        self.message_user(request, ngettext("%d account is on.", "%d accounts are on.", changed) % changed)

    @admin.action(description=_("Make owner"), permissions=["give_rights"])
    def make_owner(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Give the chosen accounts all rights. Inactive accounts are left alone: nobody could use the rights."""
        by: Any = request.user
        meta: Any = User._meta
        with override(None):  # log entries are stored in English and shown in the reader's language
            changed = [str(meta.get_field(name).verbose_name) for name in ("is_staff", "is_superuser")]
        with transaction.atomic():
            site.locked()  # an owner whose rights another owner has just ended must not give any
            if not User.objects.filter(pk=by.pk, is_active=True, is_superuser=True).exists():
                raise PermissionDenied
            rows = list(_locked(queryset).filter(is_active=True).exclude(is_staff=True, is_superuser=True))
            for person in rows:
                person.is_staff = person.is_superuser = True
                person.save(update_fields=["is_staff", "is_superuser"])
                self.log_change(request, person, [{"changed": {"fields": changed}}])
        said = ngettext("%d account is an owner's now.", "%d accounts are owners' now.", len(rows))
        self.message_user(request, said % len(rows))

    def has_give_rights_permission(self, request: HttpRequest) -> bool:
        return _has_all_rights(request)

    def _switch(self, people: QuerySet[Any], *, active: bool, by: Any) -> int:
        with transaction.atomic():
            site.locked()  # if two owners switch each other off at once, the second stays active
            # Check again: another owner may have ended the rights that decided whom ``by`` may switch.
            if not User.objects.filter(pk=by.pk, is_active=True, is_superuser=by.is_superuser).exists():
                raise PermissionDenied
            rows = list(_locked(people).filter(is_active=not active))
            for person in rows:
                person.is_active = active
                person.save(update_fields=["is_active"])  # not update(): sockets are closed by the post_save signal
        return len(rows)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._delete(request, list(queryset))

    def _delete(self, request: HttpRequest, people: list[Any]) -> None:
        for person in people:
            try:
                signup.delete_account(person)
            except AccountError as error:
                self.message_user(request, f"{person}: {error}", messages.ERROR)


def _has_all_rights(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def _locked(people: QuerySet[Any]) -> QuerySet[Any]:
    """Lock these rows in key order, without blocking inserts of rows that refer to them."""
    return people.order_by("pk").select_for_update(no_key=True)


def _is_below(request: HttpRequest, person: Any) -> bool:
    return person is None or _below(request, User._default_manager.filter(pk=person.pk)).exists()


def _below(request: HttpRequest, people: QuerySet[Any]) -> QuerySet[Any]:
    """The accounts without rights; for a superuser, all. Permissions count even where ``is_staff`` is off, because they
    take effect as soon as it is on."""
    if _has_all_rights(request):
        return people
    ordinary = people.filter(is_staff=False, is_superuser=False)
    return ordinary.exclude(user_permissions__isnull=False).exclude(groups__permissions__isnull=False)


@admin.register(Group)
class GroupAdmin(BoundedAdmin, DjangoGroupAdmin):
    """Only superusers set what a group may do. Other staff make and change groups without permissions."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if _has_all_rights(request) else (*fixed, "permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _gives_nothing(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _gives_nothing(request, obj) and super().has_delete_permission(request, obj)


def _gives_nothing(request: HttpRequest, group: Any) -> bool:
    return group is None or _has_all_rights(request) or not group.permissions.exists()


@admin.register(EmailAddress)
class EmailAddressAdmin(BoundedListAdmin, AllauthEmailAddressAdmin):  # type: ignore[misc]
    """Only superusers change addresses: whoever has the address can get a new password."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _has_all_rights(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has_all_rights(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has_all_rights(request)

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if _has_all_rights(request) else {}


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("usable", _("usable")),
            ("expired", _("expired")),
            ("used_up", _("used up")),
            ("revoked", _("revoked")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        held = {
            "usable": Q(pk__in=Invitation.objects.usable().values("pk")),
            "expired": Q(expires_at__lte=timezone.now()),
            "used_up": Q(uses__gte=F("max_uses")),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(held[self.value() or ""]) if self.value() in held else queryset


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    by: Any

    def clean(self) -> dict[str, Any]:
        if self.instance.pk is None and not invitations.may_make_another(self.by):
            raise ValidationError(TooManyInvitations.sentence)
        return super().clean() or {}

    def clean_max_uses(self) -> int | None:
        most: int | None = self.cleaned_data["max_uses"]
        site.locked()  # nobody can use the invitation before it is saved
        if most is not None and Invitation.objects.filter(pk=self.instance.pk, uses__gt=most).exists():
            raise ValidationError(UsedMoreOften.sentence)
        return most


@admin.register(Invitation)
class InvitationAdmin(BoundedListAdmin):
    """Staff who are not superusers change only their own invitations, but see all."""

    form = InvitationForm
    list_display = ("__str__", "link", "created_by", "created_at", "uses", "max_uses", "expires_at", "revoked_at")
    list_filter = (StateFilter, "created_at")
    list_select_related = ("created_by",)
    search_fields = ("note", "created_by__username", "created_by__first_name")
    fields = ("link", "note", "created_by", "created_at", "expires_at", "max_uses", "uses", "revoked_at")
    readonly_fields = ("link", "created_by", "created_at", "uses", "revoked_at")
    actions = ("revoke",)

    def get_form(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        form = super().get_form(request, *args, **options)  # a class made for this request
        form.by = request.user  # type: ignore[attr-defined]
        return form

    @admin.display(description=_("link"))
    def link(self, invitation: Invitation) -> SafeString | str:
        if not invitation.pk:
            return "–"
        return format_html('<a href="{}">{}</a>', (path := reverse("invite", args=[invitation.code])), path)

    @admin.action(description=_("Revoke the chosen invitations"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        revoked = 0
        for invitation in queryset:
            try:
                invitations.revoke(by=request.user, key=invitation.pk)
                revoked += 1
            except InvitationNotValid:
                text = _("%s: only its maker and the owners of the site can revoke it.") % invitation
                self.message_user(request, text, messages.ERROR)
        if revoked:
            said = ngettext("%d invitation is revoked.", "%d invitations are revoked.", revoked)
            self.message_user(request, said % revoked)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        given: dict[str, Any] = {"expires_at": obj.expires_at, "max_uses": obj.max_uses, "note": obj.note}
        try:
            if change:
                invitations.amend(by=request.user, key=obj.pk, **given)
            else:
                obj.pk = invitations.create(by=request.user, **given).pk
        except AccountError:  # the rights were taken away in the meantime
            raise PermissionDenied from None
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Invitation) -> None:
        self._remove(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._remove(request, list(queryset))

    def _remove(self, request: HttpRequest, chosen: list[Invitation]) -> None:
        for invitation in chosen:
            with suppress(InvitationNotValid):  # somebody else has removed it in the meantime
                invitations.remove(by=request.user, key=invitation.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and invitations.may_invite(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_theirs(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_theirs(request, obj) and super().has_delete_permission(request, obj)


def _is_theirs(request: HttpRequest, invitation: Invitation | None) -> bool:
    return invitation is None or _has_all_rights(request) or invitation.created_by_id == request.user.pk


class ShortJSONField(forms.JSONField):
    """A JSON field that refuses long texts, because parsing them can fail with errors that Django does not expect:
    numbers of 5,000 digits, brackets nested without end."""

    MOST = 500

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > self.MOST:
            raise ValidationError(self.error_messages["invalid"], params={"value": value[: self.MOST]})
        return super().to_python(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return super().bound_data(data[: self.MOST] if isinstance(data, str) else data, initial)


class SiteSettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_first_rooms(self) -> list[int]:
        rooms = self.cleaned_data["first_rooms"]
        if not isinstance(rooms, list) or not all(type(each) is int for each in rooms):
            raise ValidationError(_("A list of ids of rooms, such as [1, 2]."))
        return rooms


@admin.register(SiteSettings)
class SiteSettingsAdmin(BoundedAdmin):
    form = SiteSettingsForm
    list_display = ("__str__", "sign_up", "members_invite")
    formfield_overrides: ClassVar = {JSONField: {"form_class": ShortJSONField}}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        SiteSettings.objects.get_or_create(pk=1)
        return super().get_queryset(request)
