"""The chat's own row of a person: made with their first membership, right whatever becomes of their name."""

import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from chat.access.policy import SITE, Policy
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


def test_of_two_people_with_one_key_the_exact_spelling_is_meant_or_else_the_earlier_member(lobby: Room) -> None:
    late, early = person("Özgür"), person("özgür")
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(early.pk)])
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(late.pk)])
    assert mentioned(lobby, "@ÖZGÜR") == [str(early.pk)]
    assert mentioned(lobby, "@özgür") == [str(early.pk)]
    assert mentioned(lobby, "@Özgür and @özgür") == [str(late.pk), str(early.pk)]


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
    assert out.getvalue() == "Profiles repaired: 1.\n"
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


def migrate(*names: str) -> None:
    call_command("migrate", *names, verbosity=0)


def test_the_next_migrate_makes_the_profiles_that_an_interrupted_one_left_out(lobby: Room) -> None:
    right = keys()
    Profile.objects.all().delete()
    migrate()
    assert keys() == right


def test_a_migrate_of_a_database_whose_profiles_are_complete_leaves_them_alone(lobby: Room, ben: Any) -> None:
    get_user_model().objects.filter(pk=ben.pk).update(username="bernd")
    with CaptureQueriesContext(connection) as queries:
        profiles.fill()
    assert len(queries) == 1
    assert keys()[str(ben.pk)] == "ben"


@pytest.mark.django_db(transaction=True)
def test_a_database_without_the_table_can_be_migrated_with_members_in_it(lobby: Room) -> None:
    right = keys()
    try:
        migrate("chat", "0007")
        migrate("chat", "0008")
    finally:
        migrate()
    assert keys() == right


def test_keeping_profiles_that_are_right_writes_nothing(ana: Any, ben: Any, lobby: Room) -> None:
    with CaptureQueriesContext(connection) as queries, write():
        profiles.keep([ana, ben])
    assert not [each for each in queries if "INSERT" in each["sql"]]


def test_who_joins_again_is_found_by_the_name_that_the_database_has(ana: Any, eve: Any, lobby: Room) -> None:
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(eve.pk)])
    memberships.leave(by=eve, room_id=lobby.pk)
    get_user_model().objects.filter(pk=eve.pk).update(username="evelyn")
    memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(eve.pk)])
    assert mentioned(lobby, "@evelyn") == [str(eve.pk)]


def test_a_person_object_that_is_older_than_the_database_changes_no_name(eve: Any, lobby: Room) -> None:
    held_by_a_socket = get_user_model().objects.get(pk=eve.pk)
    eve.username = "evelyn"
    eve.save()
    memberships.join(by=held_by_a_socket, room_id=lobby.pk)
    assert mentioned(lobby, "@evelyn") == [str(eve.pk)]


def test_a_name_that_was_set_and_not_saved_is_no_name(ben: Any, lobby: Room) -> None:
    ben.username = "draft"
    ben.save(update_fields=["email"])
    assert mentioned(lobby, "@ben") == [str(ben.pk)]


def test_a_member_whom_an_older_process_added_is_found_after_the_next_save_or_fill(eve: Any, lobby: Room) -> None:
    for heal in (eve.save, profiles.fill):
        memberships.add_all(by=SITE, room_id=lobby.pk, user_ids=[str(eve.pk)])
        Profile.objects.filter(pk=str(eve.pk)).delete()
        assert mentioned(lobby, "@eve") == []
        heal()
        assert mentioned(lobby, "@eve") == [str(eve.pk)]


def test_saving_a_stranger_to_all_rooms_makes_no_profile(eve: Any, lobby: Room) -> None:
    eve.save()
    assert str(eve.pk) not in keys()


def test_a_profile_is_not_put_back_by_a_repair_that_began_before_its_account_went_or_changed(
    ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "PEOPLE_PER_QUERY", 1)
    read, real = [], profiles._repair_locked

    def slowly(keys: list[Any]) -> int:
        if not read:
            get_user_model().objects.filter(pk=ben.pk).update(username="bernd")
            ana.delete()
        read.append(keys)
        return real(keys)

    monkeypatch.setattr(profiles, "_repair_locked", slowly)
    profiles.repair()
    assert str(ana.pk) not in keys()
    assert keys()[str(ben.pk)] == "bernd"


class ByFirstName(Policy):
    def handle_of(self, user: Any) -> str | None:
        return user.first_name or None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("joins_last", [True, False])
def test_who_joins_while_their_name_changes_is_found_by_the_new_one(
    eve: Any, lobby: Room, settings: Any, joins_last: bool
) -> None:
    """On PostgreSQL, no lock makes the two take turns: the column of the name is not unique."""
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.ByFirstName"}
    if connection.vendor != "postgresql":
        pytest.skip("one writer at a time")
    renamed, joined, ended = threading.Event(), threading.Event(), threading.Event()

    def rename() -> None:
        person = get_user_model().objects.get(pk=eve.pk)
        with transaction.atomic():
            if not joins_last:
                assert joined.wait(20)
            person.first_name = "Evelyn"
            person.save()
            renamed.set()
            if joins_last:
                return
            assert ended.wait(20)

    def join() -> None:
        with write():
            if joins_last:
                assert renamed.wait(20)
            memberships.join(by=get_user_model().objects.get(pk=eve.pk), room_id=lobby.pk)
            joined.set()
            if not joins_last:
                assert renamed.wait(20)
        ended.set()

    threads = [threading.Thread(target=in_own_connection, args=(each,)) for each in (rename, join)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert keys()[str(eve.pk)] == "evelyn"


def in_own_connection(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()
