"""Rooms in the admin: rename, describe, open or close, archive, delete, and their members."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chat.access.policy import SITE, policy
from chat.admin.base import (
    ChatAdmin,
    chat_page,
    ensure_may_bring_into,
    link,
    list_of,
    name_of,
    people_of_direct,
    reads_history,
    searchable_person,
    title_of,
)
from chat.models import Membership, Room
from chat.services import memberships, room_deletion, rooms

EDITABLE = ("name", "topic", "kind", "archived")
INLINE_AT_MOST = 100
"""Members on a room's own page; a larger room has a link to the list of them."""


class ActivityFilter(admin.SimpleListFilter):
    title = _("activity")
    parameter_name = "activity"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [
            ("1", _("Today")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
            ("quiet", _("Quiet for 90 days")),
            ("never", _("No message yet")),
        ]

    def queryset(self, request: Any, queryset: QuerySet[Room]) -> QuerySet[Room]:
        match self.value():
            case "1" | "7" | "30" as days:
                return queryset.filter(last_message_at__gte=timezone.now() - timedelta(days=int(days)))
            case "quiet":
                return queryset.filter(last_message_at__lt=timezone.now() - timedelta(days=90))
            case "never":
                return queryset.filter(last_message_at=None)
        return queryset


class RoomForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Room
        fields = EDITABLE
        widgets = {"topic": AdminTextareaWidget(attrs={"rows": 2})}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "name" in self.fields:
            self.fields["name"].required = True
        if "kind" in self.fields:
            kind: Any = self.fields["kind"]
            kind.choices = [(each.value, each.label) for each in (Room.Kind.OPEN, Room.Kind.PRIVATE)]


class NewMemberForm(forms.ModelForm):  # type: ignore[type-arg]
    """Adds a member to the room of the page, or to one that is chosen."""

    reads_history = False
    """Whether the member of staff may bring people into private rooms; set for each request."""

    class Meta:
        model = Membership
        fields: tuple[str, ...] = ("user", "role")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "user" in self.fields:
            self.fields["user"].required = True

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        user, room = cleaned.get("user"), cleaned.get("room")
        room_id = room.pk if room else self.instance.room_id
        if user is not None and not policy().is_welcome(user):
            self.add_error("user", _("This person may not use the chat."))
        if user is not None and Membership.objects.present().of(user).filter(room=room_id).exists():
            self.add_error("user", _("This person is in the room already."))
        if room is not None and room.is_direct:
            self.add_error("room", _("The people of a direct room never change."))
        elif room is not None and not room.is_open and not self.reads_history:
            self.add_error("room", _("To add people to a private room, you need the right to see messages."))
        return cleaned


class _Inline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        return searchable_person(self.admin_site)


class MembersInline(_Inline):
    verbose_name_plural = _("members")
    fields = ("person", "role", "joined_at")
    readonly_fields = ("person", "joined_at")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).filter(left_at=None).select_related("user", "room").order_by("pk")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not (obj and obj.is_direct) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not (obj and obj.is_direct) and super().has_delete_permission(request, obj)

    @admin.display(description=_("person"))
    def person(self, membership: Membership) -> str:
        return name_of(membership.user)


class NewMembersInline(_Inline):
    verbose_name = _("new member")
    verbose_name_plural = _("new members")
    form = NewMemberForm
    raw_id_fields = ("user",)
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).none()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_allowed = obj is None or obj.is_open or reads_history(request)
        return is_allowed and super().has_add_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Room)
class RoomAdmin(ChatAdmin):
    form = RoomForm
    list_display = ("title", "kind", "member_count", "last_message_at", "archived")
    list_filter = ("kind", "archived", ActivityFilter)
    search_fields = ("name", "slug", "topic")
    search_help_text = _("Name, short name or topic.")
    ordering = ("-pk",)
    sortable_by = ("member_count", "last_message_at")
    actions = ("archive", "reopen", "delete_selected")
    raw_id_fields = ("created_by",)
    delete_text = _(
        "The room is taken from everybody at once, and everything said in it is deleted for good: messages, reactions, "
        "all of it. To keep it readable, archive it instead."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Room]:
        return super().get_queryset(request).prefetch_related(people_of_direct())

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("name", "topic", "kind")
        shown = ("title", "kind", "archived") if obj.is_direct else EDITABLE
        return (*shown, "slug", "member_count", "last_message_at", "created_at", "created_by", "links")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = ("slug", "member_count", "last_message_at", "created_at", "created_by", "links")
        if obj is None or obj.is_open:
            return fixed
        if obj.is_direct:
            return (*fixed, "title", "kind")
        return fixed if reads_history(request) else (*fixed, "kind")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if (room := context.get("original")) is not None:
            context["subtitle"] = title_of(room)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        if obj is None:
            return ()
        shown = [MembersInline] if obj.member_count <= INLINE_AT_MOST else []
        return shown if obj.is_direct else [*shown, NewMembersInline]

    def view_on_site(self, obj: Room) -> str | None:
        return chat_page("room", obj.pk)

    @admin.display(description=_("name"), ordering="name")
    def title(self, room: Room) -> str:
        return title_of(room)

    @admin.display(description=_("more"))
    def links(self, room: Room) -> Any:
        shown = [
            link(gettext("Messages"), list_of(self.admin_site, "message", room.pk)),
            link(gettext("All memberships"), list_of(self.admin_site, "membership", room.pk)),
        ]
        return format_html_join(" · ", "{}", ((each,) for each in shown))

    # Writing -----------------------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Room, form: Any, change: bool) -> None:
        wanted = {name: form.cleaned_data[name] for name in form.changed_data if name in EDITABLE}
        if change:
            saved = rooms.update(by=SITE, room_id=obj.pk, **wanted) if wanted else obj
        else:
            saved = rooms.create(
                by=request.user,
                name=form.cleaned_data["name"],
                topic=form.cleaned_data["topic"],
                kind=form.cleaned_data["kind"],
            )
        obj.pk, obj.name, obj.slug = saved.pk, saved.name, saved.slug

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Add members before removing others, so that an owner can be replaced in one step."""
        room = form.instance
        for formset in formsets:
            formset.save(commit=False)  # writes nothing; it only sorts the rows into new, changed and deleted ones
        for new in (each for formset in formsets for each in formset.new_objects):
            ensure_may_bring_into(room, request)
            new.pk = memberships.add(by=SITE, room_id=room.pk, user_id=str(new.user.pk), role=new.role).pk
        changed = [each for formset in formsets for each, _fields in formset.changed_objects]
        for each in sorted(changed, key=lambda each: each.role != Membership.Role.OWNER):
            memberships.change_role(by=SITE, room_id=room.pk, user_id=each.user_key, role=each.role)
        for gone in (each for formset in formsets for each in formset.deleted_objects):
            memberships.remove(by=SITE, room_id=room.pk, user_id=gone.user_key)

    def delete_model(self, request: HttpRequest, obj: Room) -> None:
        room_deletion.delete(by=SITE, room_id=obj.pk)

    @admin.action(permissions=["change"], description=_("Archive selected %(verbose_name_plural)s"))
    def archive(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        done = self._set_archived(request, queryset, True)
        self.say_done(request, ngettext("%(count)d %(name)s archived.", "%(count)d %(name)s archived.", done), done)

    @admin.action(permissions=["change"], description=_("Reopen selected %(verbose_name_plural)s"))
    def reopen(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        done = self._set_archived(request, queryset, False)
        self.say_done(request, ngettext("%(count)d %(name)s reopened.", "%(count)d %(name)s reopened.", done), done)

    def _set_archived(self, request: HttpRequest, queryset: QuerySet[Room], archived: bool) -> int:
        rows = self.chosen(request, queryset.exclude(archived=archived))
        text = gettext("Archived.") if archived else gettext("Reopened.")
        return self.for_each(
            request, rows, lambda room: rooms.update(by=SITE, room_id=room.pk, archived=archived), self.log_same(text)
        )
