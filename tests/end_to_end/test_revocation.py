"""Who loses the right to be here is out within seconds; where no hint can say so, at the next look at the database."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import complain
from tests.end_to_end.talk import Talk, open_talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.redis_server import RedisServer
from tests.rig.site import Person, Site
from tests.rig.templates import Templates

REVOKE = "[revoke(by=user, user=user, token_id=each.pk) for each in active(user=user)]"
GONE = "[each.delete() for each in Session.objects.all() if each.get_decoded()['_auth_user_id'] == str(user.pk)]"
# Each ends somebody else: the site is the same.
ENDINGS = {
    "deactivated": ("ana", "user.is_active = False; user.save()", 4503),
    "token revoked": ("ben", f"from chat.services.tokens import active, revoke\n{REVOKE}", 4501),
    "all tokens revoked": ("finn", "from chat import api\napi.revoke_tokens(user)", 4501),
    "account deleted": ("cleo", "user.delete()", 4503),
}
SESSION_ENDINGS = {
    "new password": ("dan", "user.set_password('new'); user.save()"),
    "session gone": ("eve", f"from django.contrib.sessions.models import Session\n{GONE}; user.save()"),
}


@pytest.fixture(scope="module", params=["told by Redis", "looked up"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, templates: Templates
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("revocation")
    redis = RedisServer(folder / "redis")
    redis.start()
    factory = SiteFactory(folder, templates, lambda: pytest.fail("It is on SQLite."), lambda: redis)
    if request.param == "told by Redis":
        yield factory(Backend("sqlite", "redis"))
    else:
        yield factory(env={"CHAT_REVALIDATE_S": "1"})
    complaints = factory.stop()
    redis.stop()
    complain(complaints)


@pytest.fixture
def person(request: pytest.FixtureRequest, site: Site, ending: tuple[str, ...]) -> Person:
    request.node.sites = [site]
    return site.user(ending[0])


@pytest.fixture
async def talk(site: Site, person: Person) -> AsyncIterator[Talk]:
    talk = await talk_as(site.ws_url, person)
    yield talk
    await talk.close()


def end(site: Site, person: Person, code: str) -> None:
    site.python(f"from django.contrib.auth.models import User; user = User.objects.get(pk={person.id})\n{code}")


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_socket_closes_when_the_session_token_or_account_that_admitted_it_ends(
    site: Site, person: Person, talk: Talk, ending: tuple[str, str, int]
):
    _, code, close_code = ending
    end(site, person, code)
    assert await talk.closed() == close_code


@pytest.mark.parametrize("ending", SESSION_ENDINGS.values(), ids=SESSION_ENDINGS)
async def test_a_browsers_socket_closes_when_its_session_has_ended(site: Site, person: Person, ending: tuple[str, str]):
    headers = {"Origin": site.url, "Cookie": person.cookie}
    talk = await open_talk(site.ws_url, additional_headers=headers)
    await talk.event("hello")
    end(site, person, ending[1])
    assert await talk.closed() == 4509
