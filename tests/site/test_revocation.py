"""Who loses the right to be here is out within seconds; where no hint can say so, at the next look at the database."""

from collections.abc import AsyncIterator

import pytest

from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.site import Site
from tests.site.talk import Talk, open_talk, talk_as

USER = "from django.contrib.auth.models import User; user = User.objects.get(username='ana')\n"
REVOKE = "[revoke(user=user, token_id=each.pk) for each in active(user=user)]"
GONE = "Session.objects.all().delete(); user.save()"
ENDINGS = {
    "deactivated": (USER + "user.is_active = False; user.save()", 4503),
    "token revoked": (
        f"{USER}from chat.services.tokens import active, revoke\n{REVOKE}",
        4501,
    ),
    "account deleted": (USER + "user.delete()", 4503),
}


@pytest.fixture(params=["told by Redis", "looked up"])
def site(request: pytest.FixtureRequest, make_site: SiteFactory) -> Site:
    if request.param == "told by Redis":
        return make_site(Backend("sqlite", "redis"))
    return make_site(env={"CHAT_REVALIDATE_S": "1"})


@pytest.fixture
async def ana(site: Site) -> AsyncIterator[Talk]:
    talk = await talk_as(site.ws_url, site.user("ana"))
    yield talk
    await talk.close()


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_socket_closes_when_what_let_it_in_has_ended(site: Site, ana: Talk, ending: str):
    code, close_code = ENDINGS[ending]
    site.python(code)
    assert await ana.closed() == close_code


@pytest.mark.parametrize(
    "code",
    [
        f"{USER}user.set_password('new'); user.save()",
        f"{USER}from django.contrib.sessions.models import Session\n{GONE}",
    ],
    ids=["new password", "session gone"],
)
async def test_a_browsers_socket_closes_when_its_session_has_ended(site: Site, code: str):
    headers = {"Origin": site.url, "Cookie": site.session_cookie("ana")}
    talk = await open_talk(site.ws_url, additional_headers=headers)
    await talk.event("hello")
    site.python(code)
    assert await talk.closed() == 4509
