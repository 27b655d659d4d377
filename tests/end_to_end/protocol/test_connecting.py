"""Who may open a socket, and how they are told that they may not (section 1)."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.end_to_end.talk import Talk, open_talk
from tests.rig.site import Site


async def test_hello_names_the_user_the_limits_and_the_flow_control(site: Site, ana: Talk):
    hello = await ana.event("hello")
    assert hello["protocol"] == 1
    assert hello["user"] == {"id": site.user("ana").id, "name": "ana", "avatar": None}
    assert hello["limits"]["frame_bytes"] == 65536
    assert hello["flow"] is None, "our own server sees what is unread"
    assert isinstance(hello["rooms_version"], int)


async def test_the_subprotocol_is_echoed_when_offered(site: Site):
    headers = {"Authorization": f"Bearer {site.token('ana')}"}
    talk = await open_talk(site.ws_url, subprotocols=["chat.v1"], additional_headers=headers)
    assert talk.socket.subprotocol == "chat.v1"
    await talk.close()


async def test_another_version_of_the_protocol_is_refused_visibly(site: Site):
    headers = {"Authorization": f"Bearer {site.token('ana')}"}
    talk = await open_talk(site.ws_url, subprotocols=["chat.v9"], additional_headers=headers)
    assert await talk.closed() == 4510


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
async def test_a_wrong_origin_is_403_before_the_upgrade(site: Site, origin: str):
    headers = {"Origin": origin, "Cookie": site.session_cookie("ana")}
    with pytest.raises(InvalidStatus) as refused:
        await open_talk(site.ws_url, additional_headers=headers)
    assert refused.value.response.status_code == 403


async def test_a_wrong_origin_does_not_fall_through_to_a_right_token(site: Site):
    headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {site.token('ana')}"}
    with pytest.raises(InvalidStatus):
        await open_talk(site.ws_url, additional_headers=headers)


async def test_a_session_of_the_sites_own_origin_is_signed_in(site: Site):
    talk = await open_talk(site.ws_url, additional_headers={"Origin": site.url, "Cookie": site.session_cookie("ana")})
    assert (await talk.event("hello"))["user"]["name"] == "ana"
    await talk.close()


async def test_a_cookie_without_an_origin_counts_for_nothing(site: Site):
    talk = await open_talk(site.ws_url, additional_headers={"Cookie": site.session_cookie("ana")})
    error = await talk.refused("ping")
    assert error["code"] == "auth.required"
    await talk.close()


async def test_a_wrong_bearer_token_is_refused_before_the_upgrade(site: Site):
    with pytest.raises(InvalidStatus) as refused:
        await open_talk(site.ws_url, additional_headers={"Authorization": "Bearer nonsense"})
    assert refused.value.response.status_code in (401, 403)


async def test_a_first_frame_with_a_token_signs_in(site: Site):
    talk = await open_talk(site.ws_url)
    assert (await talk.call("auth", token=site.token("ana")))["user"]["name"] == "ana"
    await talk.event("hello")
    await talk.close()


@pytest.mark.parametrize("token", ["nonsense", "", None])
async def test_a_first_frame_without_a_right_token_is_4501(site: Site, token: str | None):
    talk = await open_talk(site.ws_url)
    await talk.send("auth", token=token)
    assert await talk.closed() == 4501


async def test_no_token_within_the_time_limit_is_4401(site: Site):
    talk = await open_talk(site.ws_url)
    assert await talk.closed() == 4401


async def test_a_token_in_the_query_string_counts_for_nothing(site: Site):
    talk = await open_talk(f"{site.ws_url}?token={site.token('ana')}")
    assert (await talk.refused("ping"))["code"] == "auth.required"
    await talk.close()


async def test_auth_on_a_live_socket_renews_it_for_the_same_person_only(site: Site, ana: Talk):
    assert (await ana.call("auth", token=site.token("ana")))["user"]["name"] == "ana"
    assert (await ana.refused("auth", token=site.token("ben")))["code"] == "auth.invalid"
    await ana.call("auth", token=None)
    assert len(ana.of_type("hello")) >= 2
