"""``make demo``: it adds a team once, keeps the chat's rules, leaves other data alone, and can be removed."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat.access import reads
from chat.models import Mention, Message, Room
from chat.services import messages, rooms
from project.accounts import first_run
from project.demo import scripts, timeline
from tests.services.log import check_log

People = get_user_model()


def demo(*arguments: str) -> str:
    out = StringIO()
    call_command("demo", "--scale", "small", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def few_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make only some of the rooms, for tests that are not about the texts in them."""
    chosen = [each for each in scripts.rooms() if each.key in ("hiring", "long-name", "offsite", "direct-ana")]
    monkeypatch.setattr(scripts, "rooms", lambda: chosen)


@pytest.fixture
def olga(db: None) -> Any:
    return People.objects.create_superuser("olga", password="password", first_name="Olga")


def test_the_team_is_believable_and_is_added_once(olga: Any) -> None:
    demo()
    everything = Message.objects.all()
    for room in Room.objects.all():
        check_log(room)
    assert everything.count() > 300
    assert set(Room.objects.values_list("kind", flat=True)) == {"open", "private", "direct"}
    assert Room.objects.filter(archived=True).count() == 1
    assert Room.objects.filter(last_number=0).count() == 1
    for kept in ("edited_at", "deleted_at", "reply_to"):
        assert everything.filter(**{f"{kept}__isnull": False}).exists(), kept
    for piece in ('<code class="language-python">', "language-sql", "language-diff", "<table>", "<ol>", "<a href"):
        assert everything.filter(html__contains=piece).exists(), piece
    for language in ("ü", "¿", "です", "صباح", "עברית"):
        assert everything.filter(body__contains=language).exists(), language
    assert everything.exclude(reactions=[]).count() > 50
    assert not everything.filter(created_at__gt=timezone.now()).exists()
    assert everything.filter(created_at__gt=timezone.now() - timedelta(hours=1)).exists()

    began = reads.history(olga, Room.objects.get(name="Engineering").pk, around=1)
    assert len({each.joined_at for each in began.members}) == 1, "a room begins with one line of those who came"
    assert began.members[0].joined_at == began.messages[0].created_at

    mine, _, _ = reads.hello(olga)
    assert {each.kind for each in mine} == {"open", "private", "direct"}
    assert {each.unread > 9 for each in mine} == {each.mentions > 0 for each in mine} == {True, False}
    assert Mention.objects.filter(user=olga).count() >= 3

    before = everything.count(), Room.objects.count(), People.objects.count()
    again = demo()
    assert "nothing was added" in again
    assert "0 messages" not in again
    assert (everything.count(), Room.objects.count(), People.objects.count()) == before


def test_the_demo_leaves_other_data_alone_and_can_be_removed(few_rooms: None, olga: Any) -> None:
    ana = People.objects.create_user("ana", "ana@larder.invalid", "secret", first_name="Another", last_name="Ana")
    own = rooms.create(by=ana, name="Hiring")
    messages.post(by=ana, room_id=own.pk, body="a real question")
    demo()
    assert Message.objects.filter(room=own).count() == 1
    assert Message.objects.filter(author=ana).count() == 1
    ana.refresh_from_db()
    assert (ana.get_full_name(), ana.groups.count()) == ("Another Ana", 0)
    assert authenticate(username="ana", password="secret") == ana
    guests = People.objects.filter(groups__isnull=False)
    assert len(guests) == len(scripts.people())
    assert Room.objects.filter(name="Hiring").count() == 2
    assert not any(each.has_usable_password() or each.is_staff for each in guests)

    assert "The demo is gone." in demo("--remove")
    assert set(People.objects.all()) == {olga, ana}
    assert list(Room.objects.all()) == [own]
    assert Message.objects.filter(room__in=Room.objects.all()).count() == 1
    assert not Group.objects.exists()
    assert "no demo here" in demo("--remove")
    assert "nothing was added" not in demo(), "after a removal it can come back"


def test_an_empty_site_gets_an_owner_who_can_sign_in(few_rooms: None, db: None, settings: Any) -> None:
    settings.HOST, settings.HTTPS = "127.0.0.1", False
    said = demo()
    name, password = said.split("Its owner is now: ")[1].splitlines()[0].split(", password ")
    owner = authenticate(username=name, password=password)
    assert owner is not None
    assert owner.is_superuser
    assert first_run.stage() == first_run.Stage.DONE
    assert "password" not in demo(), "it was shown once"
    demo("--remove")
    assert first_run.stage() == first_run.Stage.OWNER, "as if nothing had been"


def test_the_demos_owner_stays_if_the_site_would_be_left_without_an_owner(few_rooms: None, db: None) -> None:
    demo()
    colleague = People.objects.create_user("ben")
    assert "stays" in demo("--remove")
    assert set(People.objects.values_list("username", flat=True)) == {"alex", colleague.username}


def test_a_public_site_needs_confirmation_and_an_owner(db: None, settings: Any) -> None:
    settings.HOST, settings.DEBUG = "0.0.0.0", False
    with pytest.raises(CommandError, match="--yes"):
        demo()
    with pytest.raises(CommandError, match="Sign up as the owner"):
        demo("--yes")
    settings.HOST, settings.HTTPS = "127.0.0.1", True
    with pytest.raises(CommandError, match="--yes"):
        demo()
    assert not People.objects.exists()
    People.objects.create_user("ben")
    with pytest.raises(CommandError, match="all rights"):
        demo("--yes")
    assert not Room.objects.exists()


def test_thousands_of_messages_are_in_order_with_authors_from_the_team_and_few_repeats() -> None:
    now = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
    said = {each.key: timeline.messages(each, now=now, scale="full", seed=1) for each in scripts.rooms()}
    everything = [each for room in said.values() for each in room]
    assert 3_000 <= len(everything) <= 5_000
    assert len({each.client_id for each in everything}) == len(everything)
    assert len({each.text for each in everything}) > 1_200
    assert 0.1 < sum(each.to is not None for each in everything) / len(everything) < 0.4
    team = scripts.people().keys()
    for room in said.values():
        assert [each.at for each in room] == sorted(each.at for each in room)
        assert all(each.author in team and {who for _, who in each.reactions} <= team for each in room)
        assert all(now - timedelta(days=70) < each.at <= now for each in room)
        assert not any("((" in each.text and "|" in each.text.split("((")[1][:40] for each in room)
    hours = [each.at.hour for each in everything if each.at.weekday() < 5]
    assert sum(7 <= hour < 20 for hour in hours) > 0.9 * len(hours)
    again = timeline.messages(scripts.rooms()[1], now=now, scale="full", seed=1)
    assert again == said[scripts.rooms()[1].key]
