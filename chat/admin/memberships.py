"""Memberships in the admin, past ones included: add, change the role, remove."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.access.policy import SITE
from chat.admin.base import (
    ChatAdmin,
    ensure_may_bring_into,
    link,
    name_of,
    page_of,
    people_of_direct,
    reads_history,
    title_of,
)
from chat.admin.lists import PersonFilter, RoomFilter, newest
from chat.admin.rooms import NewMemberForm
from chat.models import Membership
from chat.services import memberships


class PresenceFilter(admin.SimpleListFilter):
    title = _("presence")
    parameter_name = "presence"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("in", _("In the room")), ("left", _("Left or removed"))]

    def queryset(self, request: Any, queryset: QuerySet[Membership]) -> QuerySet[Membership]:
        if self.value() is None:
            return queryset
        return of_few(request, queryset).filter(left_at__isnull=self.value() == "in")


class RoleFilter(admin.SimpleListFilter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return Membership.Role.choices

    def queryset(self, request: Any, queryset: QuerySet[Membership]) -> QuerySet[Membership]:
        if self.value() not in Membership.Role.values:
            return queryset
        return of_few(request, queryset).filter(role=self.value())


def of_few(request: HttpRequest, queryset: QuerySet[Membership]) -> QuerySet[Membership]:
    """All memberships of a list that is limited to a room or a person, which has few; otherwise the newest."""
    return queryset if request.GET.get("room") or request.GET.get("person") else newest(queryset)


class NewMembershipForm(NewMemberForm):
    class Meta(NewMemberForm.Meta):
        fields = ("room", "user", "role")


@admin.register(Membership)
class MembershipAdmin(ChatAdmin):
    list_display = ("person", "where", "role", "joined_at", "left_at")
    list_display_links = ("person",)
    list_select_related = ("room", "user")
    list_filter = (RoomFilter, PersonFilter, PresenceFilter, RoleFilter)
    ordering = ("-pk",)
    sortable_by = ()
    autocomplete_fields = ("room",)
    raw_id_fields = ("user",)
    delete_text = _(
        "The person is removed from the room at once. What they have written stays, and so does an entry here that "
        "says when they left."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        present = super().get_queryset(request).filter(room__deleted_at=None)
        return present.prefetch_related(people_of_direct("room__memberships"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        form: Any = super().get_form(request, obj, change, form=NewMembershipForm, **kwargs)
        form.reads_history = reads_history(request)
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("where", "person", "role", "joined_at", "left_at") if obj else ("room", "user", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("where", "person", "joined_at", "left_at") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _can_change(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _can_change(obj) and super().has_delete_permission(request, obj)

    @admin.display(description=_("person"))
    def person(self, membership: Membership) -> str:
        return name_of(membership.user)

    @admin.display(description=_("room"))
    def where(self, membership: Membership) -> Any:
        return link(title_of(membership.room), page_of(self.admin_site, "room", membership.room_id))

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        if not change:
            ensure_may_bring_into(obj.room, request)
            obj.pk = memberships.add(
                by=SITE, room_id=obj.room_id, user_id=str(form.cleaned_data["user"].pk), role=obj.role
            ).pk
        elif "role" in form.changed_data:
            memberships.change_role(by=SITE, room_id=obj.room_id, user_id=obj.user_key, role=obj.role)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        memberships.remove(by=SITE, room_id=obj.room_id, user_id=obj.user_key)


def _can_change(membership: Membership | None) -> bool:
    """Past memberships are history, and the people of a direct room never change."""
    return membership is None or (
        membership.is_present and membership.user is not None and not membership.room.is_direct
    )
