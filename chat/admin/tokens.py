"""Tokens in the admin: list, revoke, delete. A token itself is never shown, because only its hash is stored."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chat.access.policy import SITE
from chat.admin.base import ChatAdmin, name_of
from chat.admin.lists import PersonFilter, newest
from chat.models import Token
from chat.services import tokens


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("valid", _("Valid")), ("ended", _("Revoked or expired"))]

    def queryset(self, request: Any, queryset: QuerySet[Token]) -> QuerySet[Token]:
        if self.value() not in ("valid", "ended"):
            return queryset
        ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())
        rows = queryset if request.GET.get("person") else newest(queryset)
        return rows.filter(ended) if self.value() == "ended" else rows.exclude(ended)


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    revoke = forms.BooleanField(
        label=_("Revoke now"), required=False, help_text=_("Ends the token and the connections it opened, for good.")
    )

    class Meta:
        model = Token
        fields = ()


@admin.register(Token)
class TokenAdmin(ChatAdmin):
    form = TokenForm
    list_display = ("label", "person", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (PersonFilter, StateFilter)
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("revoke", "delete_selected")
    delete_text = _("The token ends at once, with the connections it opened, and disappears from this list.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        return super().get_queryset(request).defer("digest")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ("label", "person", "created_at", "expires_at", "last_used_at", "revoked_at")
        return shown if obj is not None and obj.revoked_at else (*shown, "revoke")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("label", "person", "created_at", "expires_at", "last_used_at", "revoked_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description=_("name"))
    def label(self, token: Token) -> str:
        return str(token)

    @admin.display(description=_("person"))
    def person(self, token: Token) -> str:
        return name_of(token.user)

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        if form.cleaned_data.get("revoke"):
            tokens.revoke(by=SITE, user=obj.user, token_id=obj.pk)

    def delete_model(self, request: HttpRequest, obj: Token) -> None:
        tokens.delete(by=SITE, user=obj.user, token_id=obj.pk)

    @admin.action(permissions=["change"], description=_("Revoke selected %(verbose_name_plural)s"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        rows = self.chosen(request, queryset.filter(revoked_at=None).select_related("user"))
        done = self.for_each(
            request,
            rows,
            lambda token: tokens.revoke(by=SITE, user=token.user, token_id=token.pk),
            self.log_same(gettext("Revoked.")),
        )
        self.say_done(request, ngettext("%(count)d %(name)s revoked.", "%(count)d %(name)s revoked.", done), done)
