"""Messages in the admin: read, edit, remove. A removed one stays as a tombstone, as in the chat itself."""

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.access.policy import SITE
from chat.admin.base import ChatAdmin, chat_page, link, name_of, page_of, people_of_direct, title_of
from chat.admin.lists import SCANNED_AT_MOST, AuthorFilter, RoomFilter, excerpt, newest, room_called, short_moment
from chat.error_messages import sentence_of
from chat.models import Message
from chat.services import message_bodies
from chat.services import messages as services
from chat.wire.errors import ChatError

EXCERPT_CHARS = 60
LONG_WORD = re.compile(r"\S{20}")
"""Where a word may break, so that the list fits beside its filters on a small laptop."""


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("edited", _("Edited")), ("deleted", _("Deleted"))]

    def queryset(self, request: Any, queryset: QuerySet[Message]) -> QuerySet[Message]:
        match self.value():
            case "edited":
                return looked_through(request, queryset).filter(edited_at__isnull=False, deleted_at=None)
            case "deleted":
                return looked_through(request, queryset).filter(deleted_at__isnull=False)
        return queryset


class PostedFilter(admin.SimpleListFilter):
    title = _("posted")
    parameter_name = "posted"

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return [("1", _("Past 24 hours")), ("7", _("Past 7 days")), ("30", _("Past 30 days"))]

    def queryset(self, request: Any, queryset: QuerySet[Message]) -> QuerySet[Message]:
        if self.value() not in ("1", "7", "30"):
            return queryset
        since = timezone.now() - timedelta(days=int(self.value() or 0))
        return looked_through(request, queryset).filter(created_at__gte=since)


def looked_through(request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
    """The newest messages of the chosen room, or of all rooms: there may be millions, and no index helps."""
    room = room_called(request.GET.get("room", ""))
    if room is None:
        return newest(queryset)
    return queryset.filter(room=room, number__gt=room.last_number - SCANNED_AT_MOST)


class BodyField(forms.CharField):
    """Replaces the line ends that browsers send by those of messages, so that an unchanged text stays unchanged."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]
    body = BodyField(label=_("Text"), help_text=_("Markdown. Everybody sees the change at once, marked as edited."))

    class Meta:
        model = Message
        fields = ("body",)

    def clean_body(self) -> str:
        try:
            return message_bodies.checked(self.cleaned_data["body"])
        except ChatError as refusal:
            raise ValidationError(sentence_of(refusal)) from None


@admin.register(Message)
class MessageAdmin(ChatAdmin):
    form = MessageForm
    list_display = ("number", "where", "person", "text", "posted", "state")
    list_display_links = ("number", "text")
    list_select_related = ("room", "author")
    list_filter = (RoomFilter, AuthorFilter, StateFilter, PostedFilter)
    search_fields = ("body",)
    search_help_text = _(
        "A number finds the message with that number in the room, or that id when no room is chosen. Words are looked "
        "for in the newest 50,000 messages of one room: choose the room first. State and date filters look at as many."
    )
    sortable_by = ()
    fields = ("body", "where", "number", "person", "created_at", "edited_at", "deleted_at", "reply", "reactions_shown")
    delete_text = _(
        "The text, its reactions and its mentions are deleted, and every open page shows it at once. An empty entry "
        "stays in its place, as when people delete their own messages."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        shown = super().get_queryset(request).filter(room__deleted_at=None).defer("html", "mentions")
        return shown.prefetch_related(people_of_direct("room__memberships"))

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("-number",) if request.GET.get("room") else ("-pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        words = search_term.split()
        if not words:
            return queryset, False
        room = room_called(request.GET.get("room", ""))
        if len(words) == 1 and (digits := words[0].removeprefix("#")).isascii() and digits.isdigit():
            number = int(digits[:18])
            return queryset.filter(room=room, number=number) if room else queryset.filter(pk=number), False
        if room is None:
            self.message_user(request, gettext("Choose a room to search in its messages."), messages.WARNING)
            return queryset.none(), False
        queryset = looked_through(request, queryset)
        for word in words:
            queryset = queryset.filter(body__icontains=word)
        return queryset, False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = self.fields[1:]
        return self.fields if obj is not None and obj.is_deleted else fixed

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not (obj is not None and obj.is_deleted) and super().has_delete_permission(request, obj)

    def view_on_site(self, obj: Message) -> str | None:
        return chat_page("message", obj.room_id, obj.number)

    @admin.display(description=_("room"))
    def where(self, message: Message) -> Any:
        return link(title_of(message.room), page_of(self.admin_site, "room", message.room_id))

    @admin.display(description=_("author"))
    def person(self, message: Message) -> str:
        return name_of(message.author)

    @admin.display(description=_("text"))
    def text(self, message: Message) -> str:
        # A long link that can't break would push the other columns out of sight.
        return LONG_WORD.sub("\\g<0>\u200b", excerpt(message.body, EXCERPT_CHARS)) or "–"

    @admin.display(description=_("posted"))
    def posted(self, message: Message) -> str:
        return short_moment(message.created_at)

    @admin.display(description=_("state"))
    def state(self, message: Message) -> str:
        if message.is_deleted:
            return gettext("deleted")
        return gettext("edited") if message.edited_at else ""

    @admin.display(description=_("reply to"))
    def reply(self, message: Message) -> Any:
        if not message.reply_to_id:
            return "–"
        return link(f"#{message.reply_number}", page_of(self.admin_site, "message", message.reply_to_id))

    @admin.display(description=_("reactions"))
    def reactions_shown(self, message: Message) -> str:
        return " ".join(f"{each['emoji']} {each['count']}" for each in message.reactions) or "–"

    def save_model(self, request: HttpRequest, obj: Message, form: Any, change: bool) -> None:
        if "body" in form.changed_data:
            services.edit(by=SITE, message_id=obj.pk, body=form.cleaned_data["body"])

    def delete_model(self, request: HttpRequest, obj: Message) -> None:
        services.delete(by=SITE, message_id=obj.pk)
