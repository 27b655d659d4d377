"""What the admin of every live table has in common: it writes through services, and shows what they refuse."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import model_ngettext
from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chat.access.display_names import DELETED_ACCOUNT
from chat.access.policy import policy
from chat.admin.lists import BoundedListAdmin
from chat.error_messages import sentence_of
from chat.models import Membership, Room
from chat.wire.errors import ChatError, RoomForbidden

AT_ONCE = 1_000
"""Most rows of one bulk action. Each is a change of its own that is published to open pages."""
PER_TRANSACTION = 100
NAMED_AT_MOST = 20


def reads_history(request: HttpRequest) -> bool:
    """Whether this member of staff may read all messages in the admin. Only then may they open a private room, or bring
    anybody into one: either would show its history to people who were not to see it."""
    user: Any = request.user
    return bool(user.has_perm("chat.view_message") or user.has_perm("chat.change_message"))


def ensure_may_bring_into(room: Room, request: HttpRequest) -> None:
    """Raise ``RoomForbidden`` if this member of staff may not add people to the room."""
    if not room.is_open and not reads_history(request):
        raise RoomForbidden


class ChatAdmin(BoundedListAdmin):
    """Never saves or deletes a row itself. A refusal of a service becomes a message, and nothing is changed."""

    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 50
    actions: Sequence[str] = ("delete_selected",)
    delete_confirmation_template = "chat/admin/delete_confirmation.html"
    delete_selected_confirmation_template = "chat/admin/delete_selected_confirmation.html"
    delete_text: Any = ""
    """What "Delete" does here, shown where the deletion is to be confirmed."""

    # Lists -------------------------------------------------------------------------------------------------------

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        """Complete people's names where the host's admin can search for people; elsewhere their id is typed."""
        return [*super().get_autocomplete_fields(request), *searchable_person(self.admin_site)]

    # Refusals ----------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self._or_say_why(request, super().changelist_view, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._or_say_why(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        context = {"delete_text": self.delete_text, **(extra_context or {})}
        return self._or_say_why(request, super().delete_view, object_id, context)

    def _or_say_why(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ChatError as refusal:
            # The exception has rolled back the view's transaction, so nothing was changed.
            self.message_user(request, sentence_of(refusal), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    # Deleting ----------------------------------------------------------------------------------------------------

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise NotImplementedError

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for each in queryset:
            self.delete_model(request, each)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name only the chosen rows: Django would load every related row, and wrongly announce its deletion."""
        named = [title_of(each) for each in objs[:NAMED_AT_MOST]]
        lacking = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return named, {self.opts.verbose_name_plural: len(objs)}, lacking, []

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        chosen = self.chosen(request, queryset)
        chosen = [each for each in chosen if self.has_delete_permission(request, each)]
        if not chosen:
            self.message_user(request, gettext("None of them can be deleted."), messages.WARNING)
            return None
        if request.POST.get("post"):
            done = self.for_each(request, chosen, lambda each: self.delete_model(request, each), self.log_deletions)
            text = ngettext("%(count)d %(name)s deleted.", "%(count)d %(name)s deleted.", done)
            self.say_done(request, text, done)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Delete multiple objects"),
            "delete_text": self.delete_text,
            "chosen": chosen,
            "named": [title_of(each) for each in chosen[:NAMED_AT_MOST]],
            "more": max(0, len(chosen) - NAMED_AT_MOST),
            "opts": self.opts,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.delete_selected_confirmation_template, context)

    # Bulk actions ------------------------------------------------------------------------------------------------

    def chosen(self, request: HttpRequest, queryset: Any) -> list[Any]:
        """Return the rows of a bulk action, in the order in which services lock rooms; none if they are too many."""
        rows = list(queryset.order_by()[: AT_ONCE + 1])
        if len(rows) > AT_ONCE:
            self.message_user(
                request, gettext("Choose at most %(count)s at a time.") % {"count": AT_ONCE}, messages.ERROR
            )
            return []
        return sorted(rows, key=lambda each: (getattr(each, "room_id", each.pk), each.pk))

    def for_each(
        self,
        request: HttpRequest,
        rows: list[Any],
        act: Callable[[Any], Any],
        log: Callable[[HttpRequest, Any], Any],
    ) -> int:
        """Call ``act`` for each row, log it, and return how many calls succeeded.

        A refusal is shown as a message, and does not affect the other rows.
        """
        done = 0
        for start in range(0, len(rows), PER_TRANSACTION):
            with transaction.atomic(using=router.db_for_write(self.model)):
                for each in rows[start : start + PER_TRANSACTION]:
                    name = title_of(each)
                    try:
                        act(each)  # a service: its transaction is a savepoint here
                    except ChatError as refusal:
                        self.message_user(request, f"{name}: {sentence_of(refusal)}", messages.ERROR)
                    else:
                        log(request, [each])
                        done += 1
        return done

    def log_same(self, text: str) -> Callable[[HttpRequest, Iterable[Any]], None]:
        """Return a ``log`` for ``for_each`` that writes ``text`` into the history of each row."""

        def log(request: HttpRequest, rows: Iterable[Any]) -> None:
            for each in rows:
                self.log_change(request, each, text)

        return log

    def say_done(self, request: HttpRequest, text: str, done: int) -> None:
        if done:
            named = {"count": done, "name": model_ngettext(self.opts, done)}
            self.message_user(request, text % named, messages.SUCCESS)


def searchable_person(site: admin.AdminSite) -> list[str]:
    registered = site._registry.get(get_user_model())
    return ["user"] if registered is not None and registered.search_fields else []


def name_of(person: Any) -> str:
    """A person as admins can tell them apart: the name that others see, and the one that they sign in with."""
    if person is None:
        return str(DELETED_ACCOUNT)
    name, login = policy().name_of(person), str(person.get_username())
    return name if name == login else f"{name} ({login})"


def people_of_direct(path: str = "memberships") -> "Prefetch[Any]":
    """Prefetch the people of a page's direct rooms for ``title_of``, in one query that loads nobody else."""
    pair = Membership.objects.filter(room__kind=Room.Kind.DIRECT).select_related("user").order_by("pk")
    return Prefetch(path, pair, to_attr="pair")


def title_of(row: Any) -> str:
    """The name of a row. A direct room has none: its people stand for it, if ``people_of_direct`` has read them."""
    pair: list[Membership] = getattr(row, "pair", [])
    return ", ".join(name_of(each.user) for each in pair) or str(row)


def link(text: Any, url: str | None) -> Any:
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def page_of(site: admin.AdminSite, kind: str, pk: Any) -> str:
    return reverse(f"admin:chat_{kind}_change", args=[pk], current_app=site.name)


def list_of(site: admin.AdminSite, kind: str, room_id: int) -> str:
    return reverse(f"admin:chat_{kind}_changelist", current_app=site.name) + f"?room={room_id}"


def chat_page(name: str, *args: Any) -> str | None:
    """The URL of one of the chat's pages, or None in a site without them."""
    try:
        return reverse(f"chat:{name}", args=args)
    except NoReverseMatch:
        return None
