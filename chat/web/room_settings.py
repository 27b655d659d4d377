"""A room's name, members and end. What a person may not do is not shown, and is refused as well."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from chat.access import directory, reads
from chat.access.lookup import Entry
from chat.access.policy import policy
from chat.error_messages import sentence_of
from chat.models import Membership, Room
from chat.services import memberships, rooms
from chat.web import room_invitations
from chat.web.forms import RoomForm
from chat.web.page_config import site_context
from chat.web.person_rows import Picker, member_row, picker
from chat.web.request_parameters import TICKED_AT_MOST, asks_for_list, page_of, query, search_of, users_of
from chat.web.rooms import left, watched
from chat.wire.errors import ChatError, MemberNotFound, RoomForbidden, RoomInvalid, RoomNotFound

CONFIRMED = ("archive", "leave", "open", "private", "remove")
"""Actions that ask for confirmation, on a page of its own, so that they work without scripts."""

ROLES = {
    Membership.Role.OWNER: gettext_lazy("also gives roles, and removes moderators and owners."),
    Membership.Role.MODERATOR: gettext_lazy("also manages the room, its people and messages."),
    Membership.Role.MEMBER: gettext_lazy("reads and writes."),
}
"""What each may do more than the next."""


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def room_settings(request: HttpRequest, room: str) -> HttpResponse:
    """The page, one of its questions (``?confirm=``), or what a form of it asks for (``action``).

    Raises:
        Http404: No such room, or not for this person to see.
    """
    entry = watched(request, room)
    try:
        return _answer(request, entry) if request.method == "POST" else _shown(request, entry)
    except RoomNotFound:  # lost between the look at the door and now
        raise Http404 from None


def _shown(request: HttpRequest, entry: Entry) -> HttpResponse:
    asked = request.GET.get("confirm")
    question = _question(request, entry, asked) if asked in CONFIRMED else None
    return question or _page(request, entry)


def _answer(request: HttpRequest, entry: Entry) -> HttpResponse:
    if asks_for_list(request.POST):
        page = page_of(request.POST)
        found = query(add=search_of(request.POST), at=page if page > 1 else 0, user=users_of(request))
        return redirect(f"{_address(entry)}{found}#add")
    action = ACTIONS.get(request.POST.get("action", ""))
    return action(request, entry) if action else redirect(_address(entry))


# Actions ---------------------------------------------------------------------------------------------------------


def _update(request: HttpRequest, entry: Entry) -> HttpResponse:
    form = RoomForm(request.POST)
    if not form.is_valid():
        return _page(request, entry, form=form)

    try:
        return _tried(
            request,
            entry,
            "room",
            lambda: rooms.update(by=request.user, room_id=entry.room.pk, **form.cleaned_data),
            _("The room is changed."),
        )
    except RoomInvalid as error:
        form.refuse(error)
        return _page(request, entry, form=form)


def _archive_or_reopen(request: HttpRequest, entry: Entry) -> HttpResponse:
    archived = request.POST["action"] == "archive"
    return _tried(
        request,
        entry,
        "room",
        lambda: rooms.update(by=request.user, room_id=entry.room.pk, archived=archived),
        _("The room is archived: it can be read, not written to.") if archived else _("The room is open again."),
    )


def _open_or_close(request: HttpRequest, entry: Entry) -> HttpResponse:
    kind = request.POST["action"]
    return _tried(
        request,
        entry,
        "room",
        lambda: rooms.update(by=request.user, room_id=entry.room.pk, kind=kind),
        _("The room is open to everybody now.") if kind == Room.Kind.OPEN else _("The room is private now."),
    )


def _add(request: HttpRequest, entry: Entry) -> HttpResponse:
    wanted = users_of(request)
    if not wanted:
        return _page(request, entry, errors={"add": _("Select somebody to add first.")})
    if len(wanted) > TICKED_AT_MOST:
        return _page(request, entry, errors={"add": _("Add fewer people at once.")})

    try:
        memberships.add_all(by=request.user, room_id=entry.room.pk, user_ids=wanted)
    except RoomNotFound:
        raise
    except RoomForbidden as error:
        may_add = _rights(request.user, entry)["add"]
        invited = room_invitations.links_for(request, entry.room, wanted) if may_add else []
        return _page(request, entry, errors={"add": sentence_of(error)}, invited=invited, status=403)
    except ChatError as error:
        return _page(request, entry, errors={"add": sentence_of(error)})
    return _done(request, entry, _("Added to the room."))


def _remove(request: HttpRequest, entry: Entry) -> HttpResponse:
    user_id = request.POST.get("user", "")
    return _tried(
        request,
        entry,
        "members",
        lambda: memberships.remove(by=request.user, room_id=entry.room.pk, user_id=user_id),
        _("Removed from the room."),
    )


def _change_role(request: HttpRequest, entry: Entry) -> HttpResponse:
    user_id, role = request.POST.get("user", ""), request.POST.get("role", "")
    if role not in Membership.Role.values:
        return _page(request, entry, errors={"members": _("There is no such role.")})
    return _tried(
        request,
        entry,
        "members",
        lambda: memberships.change_role(by=request.user, room_id=entry.room.pk, user_id=user_id, role=role),
        _("The role is changed."),
    )


ACTIONS: dict[str, Callable[[HttpRequest, Entry], HttpResponse]] = {
    "update": _update,
    "archive": _archive_or_reopen,
    "reopen": _archive_or_reopen,
    "open": _open_or_close,
    "private": _open_or_close,
    "add": _add,
    "enter": _add,
    "remove": _remove,
    "role": _change_role,
    "leave": left,
}


def _tried(request: HttpRequest, entry: Entry, section: str, act: Callable[[], Any], success: str) -> HttpResponse:
    """Do it and say so, or show the page with the refusal in the section that it belongs to."""
    try:
        act()
    except (RoomNotFound, RoomInvalid):
        raise
    except ChatError as error:
        status = 403 if isinstance(error, RoomForbidden) else 200
        return _page(request, entry, errors={section: sentence_of(error)}, status=status)
    return _done(request, entry, success)


def _done(request: HttpRequest, entry: Entry, success: str) -> HttpResponse:
    messages.success(request, success, fail_silently=True)
    # Forms lead to their section, where a refusal is shown. The end of this address leads to the top instead.
    return redirect(f"{_address(entry)}#")


def _address(entry: Entry) -> str:
    return reverse("chat:room_settings", args=[entry.room.pk])


# Pages -----------------------------------------------------------------------------------------------------------


def _page(
    request: HttpRequest,
    entry: Entry,
    *,
    form: RoomForm | None = None,
    errors: dict[str, str] | None = None,
    invited: Sequence[tuple[str, str]] = (),
    status: int = 200,
) -> HttpResponse:
    room, rights = entry.room, _rights(request.user, entry)
    search, page = search_of(request.GET), page_of(request.GET)
    rows, more = directory.members(room, search=search, page=page)
    context = {
        "about": reads.room_state(request.user, room.pk),
        "rights": rights,
        "form": form or RoomForm(initial={"name": room.name, "topic": room.topic}),
        "members": [
            member_row(each, viewer=request.user, may_moderate=rights["moderate"], may_own=rights["own"])
            for each in rows
        ],
        "roles": [(role.value, role.label, may) for role, may in ROLES.items()],
        "search": search,
        "previous_page": query(q=search, page=page - 1) if page > 1 else "",
        "next_page": query(q=search, page=page + 1) if more else "",
        "pick": _people_to_add(request, entry) if rights["add"] else None,
        "has_others": room.member_count > 1,
        "invited": invited,
        "errors": _errors(errors or {}, has_add=rights["add"]),
    }
    return render(request, "chat/room_settings.html", {**site_context(request), **context}, status=status)


def _errors(errors: dict[str, str], *, has_add: bool) -> dict[str, str]:
    """The errors by section; at the top of the page where the person has no such section."""
    return errors if has_add or "add" not in errors else {"room": errors["add"]}


def _rights(user: Any, entry: Entry) -> dict[str, bool]:
    rules, room, membership = policy(), entry.room, entry.membership
    may_manage = rules.can_manage(user, room, membership)
    may_moderate = not room.is_direct and rules.can_moderate(user, room, membership)
    return {
        "manage": may_manage,
        "open": may_manage and rules.can_open(user, room, membership) and _may_become(user, room, Room.Kind.OPEN),
        "private": may_manage and _may_become(user, room, Room.Kind.PRIVATE),
        "moderate": may_moderate,
        "own": not room.is_direct and rules.can_own(user, room, membership),
        "add": may_moderate and not room.archived,
        "join": membership is None and rules.can_join(user, room),
        "leave": membership is not None,
    }


def _may_become(user: Any, room: Room, kind: str) -> bool:
    return not room.is_direct and not room.archived and room.kind != kind and policy().can_create_room(user, kind)


def _people_to_add(request: HttpRequest, entry: Entry) -> Picker:
    # The page has two lists, so this one's search and place have names of their own in the address.
    fields = QueryDict(mutable=True)
    fields.update({"q": request.GET.get("add", ""), "page": request.GET.get("at", "")})
    search, page = search_of(fields), page_of(fields)
    found, more = directory.people(request.user, search=search, page=page, size=directory.PICK, outside=entry.room)
    # A form about one person names them in the same field.
    ticked = users_of(request) if request.method != "POST" or request.POST.get("action") in ("add", "enter") else []
    return picker(found, directory.chosen(request.user, ticked), search=search, page=page, more=more)


def _question(request: HttpRequest, entry: Entry, asked: str) -> HttpResponse | None:
    """The page that asks for confirmation; None for somebody who may not do it.

    Raises:
        Http404: It is about somebody who isn't in the room.
    """
    rights = _rights(request.user, entry)
    may = {"archive": rights["manage"] and not entry.room.archived, "remove": rights["moderate"], **rights}
    if not may[asked]:
        return None
    context: dict[str, Any] = {"asked": asked, "about": reads.room_state(request.user, entry.room.pk)}
    if asked == "remove":
        membership = directory.member(entry.room, request.GET.get("user", ""))
        if membership is None:
            raise Http404(MemberNotFound.text)
        row = member_row(membership, viewer=request.user, may_moderate=rights["moderate"], may_own=rights["own"])
        if not row.may_remove:
            return None
        context["member"] = row
    return render(request, "chat/confirm.html", {**site_context(request), **context})
