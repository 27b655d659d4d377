"""The chat's own row of a person: made with their first membership, right whatever becomes of their name."""

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext

from chat.access.policy import SITE
from chat.models import Profile, Room
from chat.models.database import write
from chat.services import memberships, profiles
from chat.services.message_bodies import render
from tests.cast import person

pytestmark = pytest.mark.django_db


def keys() -> dict[str, str]:
    return dict(Profile.objects.values_list("pk", "handle_key"))


def mentioned(room: Room, body: str) -> list[str]:
    return render(room, body).mentions


def test_a_profile_is_made_with_the_first_membership_and_goes_with_the_account(ana: Any, eve: Any, lobby: Room) -> None:
    assert str(ana.pk) in keys()
    assert str(eve.pk) not in keys()
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(eve.pk)])
    assert keys()[str(eve.pk)] == "eve"
    gone = str(eve.pk)
    eve.delete()
    assert gone not in keys()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Ärger", "@ärger"),
        ("Ärger", "@ÄRGER"),
        ("weiß", "@Weiß"),
        ("γιώργος", "@ΓΙΏΡΓΟΣ"),
        ("İnci", "@İnci"),
        ("İnci", "@inci"),
        ("Дмитрий", "hi @дмитрий!"),
        ("田中", "@田中 hi"),
    ],
)
def test_a_mention_finds_a_name_of_any_script_in_either_case(lobby: Room, name: str, body: str) -> None:
    someone = person(name)
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(someone.pk)])
    assert mentioned(lobby, body) == [str(someone.pk)]


def test_names_that_only_look_alike_to_a_database_are_two_people(lobby: Room) -> None:
    weiss, other = person("weiss"), person("weiß")
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(weiss.pk), str(other.pk)])
    assert mentioned(lobby, "@weiss") == [str(weiss.pk)]
    assert mentioned(lobby, "@weiß") == [str(other.pk)]


def test_of_two_people_of_one_name_the_earlier_member_is_meant(lobby: Room) -> None:
    late, early = person("Özgür"), person("özgür")
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(early.pk)])
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(late.pk)])
    assert mentioned(lobby, "@Özgür @özgür") == [str(early.pk)]


def test_a_new_name_is_what_mentions_find_and_the_old_one_names_nobody(ben: Any, lobby: Room) -> None:
    ben.username = "Benjamin"
    ben.save()
    assert mentioned(lobby, "@benjamin") == [str(ben.pk)]
    assert mentioned(lobby, "@ben") == []


def test_a_sign_in_writes_no_profile(ben: Any, lobby: Room) -> None:
    with CaptureQueriesContext(connection) as queries:
        ben.save(update_fields=["last_login"])
    assert not [each for each in queries if "chat_profile" in each["sql"]]


def test_a_name_changed_behind_djangos_back_names_nobody_until_it_is_repaired(ben: Any, lobby: Room) -> None:
    get_user_model().objects.filter(pk=ben.pk).update(username="bernd")
    assert mentioned(lobby, "@ben") == []
    assert mentioned(lobby, "@bernd") == []
    out = StringIO()
    call_command("chat_profiles", stdout=out)
    assert "1 profile" in out.getvalue()
    assert mentioned(lobby, "@bernd") == [str(ben.pk)]
    assert profiles.repair() == 0


def test_a_repair_takes_any_number_of_people(lobby: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [person(f"guest{number}") for number in range(7)]
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(each.pk) for each in many])
    right = keys()
    Profile.objects.all().delete()
    monkeypatch.setattr(profiles, "PEOPLE_PER_QUERY", 2)
    assert profiles.repair() == len(right)
    assert keys() == right


def test_a_migration_of_the_chat_makes_the_profiles_of_the_members_of_an_older_database(lobby: Room) -> None:
    right = keys()
    Profile.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert keys() == {}, "nothing was migrated"
    config = apps.get_app_config("chat")
    migration = SimpleNamespace(app_label="chat")
    post_migrate.send(config, app_config=config, using="default", plan=[(migration, True)])
    assert keys() == {}, "the table was about to go"
    post_migrate.send(config, app_config=config, using="default", plan=[(migration, False)])
    assert keys() == right


def test_making_profiles_that_exist_writes_nothing(ana: Any, ben: Any, lobby: Room) -> None:
    with CaptureQueriesContext(connection) as queries, write():
        profiles.keep([ana, ben])
    assert len([each for each in queries if "chat_profile" in each["sql"]]) == 1
