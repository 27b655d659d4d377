"""The first visitor who is allowed to becomes the owner, and only once."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from chat.models import Membership, Room
from project.accounts import setup_code, site
from project.accounts.models import Invitation, SiteSettings
from tests.project.conftest import LOCAL, PASSWORD, new_person, people

pytestmark = pytest.mark.django_db
OWNER = new_person("olga")


@pytest.fixture
def browser() -> Client:
    """A browser in which the link that the site printed was opened."""
    browser = Client(**LOCAL)
    browser.get(setup_code.link())
    return browser


def shown(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.mark.parametrize("page", ["/", "/accounts/login/", "/accounts/signup/", "/admin/", "/rooms/1/"])
def test_every_page_of_a_new_site_redirects_to_the_set_up(page: str, browser: Client) -> None:
    assert browser.get(page).headers["Location"] == "/setup/"


def test_the_first_run_makes_an_owner_names_the_site_and_shows_a_link(browser: Client) -> None:
    assert "Make your account" in shown(browser.get("/setup/"))
    answer = browser.post("/setup/", OWNER, follow=True)
    assert "Name your site" in shown(answer)
    owner = get_user_model()._default_manager.get()
    assert owner.is_superuser
    assert owner.is_staff
    assert (owner.username, owner.get_full_name()) == ("olga", "Olga Moss")

    answer = browser.post(
        "/setup/", {"name": "The Harbour", "rooms": "General\n\n Tea room \ngeneral\nGeneral"}, follow=True
    )
    assert "Who may sign up?" in shown(answer)
    assert "The Harbour" in shown(answer)
    assert sorted(Room.objects.values_list("name", "kind")) == [("General", "open"), ("Tea room", "open")]
    assert Membership.objects.filter(user=owner, role="owner").count() == 2

    answer = browser.post("/setup/", {"sign_up": "invitation"}, follow=True)
    invitation = Invitation.objects.get()
    assert f"http://localhost:8000/invite/{invitation.code}/" in shown(answer)
    assert "<svg" in shown(answer)
    assert invitation.expires_at is not None
    assert invitation.expires_at - invitation.created_at < timedelta(days=8)
    assert "It works until" in shown(answer)
    assert "Your site is ready" in shown(answer)
    assert "Go to the chat" in shown(answer)
    assert "There is no link yet" not in shown(answer)
    assert browser.get("/setup/").headers["Location"] == "/"
    assert browser.get("/").status_code == 200


def test_the_first_run_continues_where_it_was_left(browser: Client) -> None:
    browser.post("/setup/", OWNER)
    another = Client(**LOCAL)
    assert another.get("/setup/").headers["Location"] == "/accounts/login/"
    signed_in = another.post("/accounts/login/", {"login": "olga@example.com", "password": PASSWORD}, follow=True)
    assert "Name your site" in shown(signed_in)
    another.post("/setup/", {"name": "The Harbour", "rooms": "General"})
    assert "Who may sign up?" in shown(browser.get("/", follow=True))


def test_a_step_sent_twice_happens_once(browser: Client) -> None:
    browser.post("/setup/", OWNER)
    rooms = {"name": "The Harbour", "rooms": "General"}
    browser.post("/setup/", rooms)
    browser.post("/setup/", rooms)  # the second click of a double click
    assert Room.objects.count() == 1
    assert site.current().stage == "access"


def test_only_an_owner_can_continue_the_set_up(browser: Client, ana: Any) -> None:
    SiteSettings.objects.update_or_create(pk=1, defaults={"stage": "rooms"})
    browser.force_login(ana)
    assert browser.post("/setup/", {"name": "Ana's", "rooms": "Hers"}).headers["Location"] == "/"
    assert not Room.objects.exists()


def test_a_site_whose_accounts_were_made_in_another_way_counts_as_set_up(browser: Client, ana: Any) -> None:
    assert browser.get("/").headers["Location"].startswith("/accounts/login/")
    assert browser.post("/setup/", OWNER).status_code == 409
    assert people() == {"ana"}


# The set-up code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"host": "testserver"}},
        {"headers": {"host": "localhost", "x-forwarded-for": "10.0.0.9"}},
        LOCAL,  # as a forwarder of TCP shows every stranger
    ],
)
def test_everybody_must_give_the_code(options: dict[str, Any]) -> None:
    browser = Client(**options)
    assert 'name="code"' in shown(browser.get("/setup/"))
    browser.post("/setup/", OWNER)
    assert people() == set()
    browser.post("/setup/", {"code": setup_code.code()})
    browser.post("/setup/", OWNER)
    assert people() == {"olga"}


def test_the_link_that_the_site_prints_holds_the_code_and_leads_to_a_page_without_it() -> None:
    browser = Client()
    answer = browser.get(setup_code.link("http://testserver"))
    assert (answer.status_code, answer["Location"]) == (302, "/setup/")
    assert "Make your account" in shown(browser.get("/setup/"))


def test_a_link_with_a_wrong_code_says_so_and_counts_as_a_guess() -> None:
    stranger = Client()
    answers = [stranger.get("/setup/", {"code": f"{guess:012}"}) for guess in range(11)]
    assert [each.status_code for each in answers] == [200] * 10 + [429]
    assert "That is not the code" in shown(answers[0])


def test_the_code_is_accepted_as_people_type_it(settings: Any) -> None:
    code = setup_code.code()
    assert len(code.replace("-", "")) == setup_code.CHARS
    assert setup_code.is_right(code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    assert not setup_code.is_right(code[:-1])
    assert not setup_code.is_right("")
    settings.SECRET_KEY = "another-" + "x" * 50
    assert not setup_code.is_right(code)


def test_guessing_the_code_is_limited_but_does_not_lock_the_owner_out() -> None:
    stranger = Client()
    answers = [stranger.post("/setup/", {"code": f"{guess:012}"}).status_code for guess in range(11)]
    assert answers == [200] * 10 + [429]
    assert 'name="code"' in shown(stranger.get("/setup/"))

    owner = Client()  # behind the same proxy, which the site does not know of
    assert owner.post("/setup/", {"code": setup_code.code()}).status_code == 302
    owner.post("/setup/", OWNER)
    assert people() == {"olga"}


def test_guesses_from_many_addresses_do_not_lock_the_owner_out() -> None:
    for address in range(61):
        assert Client(REMOTE_ADDR=f"10.1.0.{address}").post("/setup/", {"code": "wrong"}).status_code == 200
    assert Client(REMOTE_ADDR="10.2.0.1").post("/setup/", {"code": setup_code.code()}).status_code == 302
