"""What broke a peer: one post in a large room closed every socket of the process, and so did sixteen at once."""

import asyncio
from typing import Any

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.site import Site

MEMBERS = 1_000
SOCKETS = 300


@pytest.mark.timeout(240)
async def test_a_post_to_a_thousand_members_and_sixteen_at_once_close_no_socket(make_site: Any):
    site: Site = make_site()
    people = await asyncio.to_thread(site.add_people, *[f"member{place}" for place in range(MEMBERS)])
    room = site.python(
        "from chat import api; from django.contrib.auth.models import User\n"
        "people = list(User.objects.filter(username__startswith='member'))\n"
        "print(api.create_room('Everybody', people[0], kind='private', members=people[1:]).pk)"
    ).strip()
    talks: list[Talk] = []
    for start in range(0, SOCKETS, 50):
        talks += await asyncio.gather(*[talk_as(site.ws_url, each) for each in people[start : start + 50]])
    assert {outcome for talk in talks for outcome in (await talk.follow(room)).values()} == {"reset"}
    await talks[0].post(room, "to everybody")
    await asyncio.gather(*[talk.message("to everybody") for talk in talks])
    posts = await asyncio.gather(*[talk.post(room, f"at once {place}") for place, talk in enumerate(talks[:16])])
    assert sorted(each["number"] for each in posts) == list(range(2, 18))
    last = max(each["seq"] for each in posts)
    await asyncio.gather(*[talk.event("message.posted", seq=last, wait_s=30.0) for talk in talks])
    expected = list(range(1, 18))
    for talk in talks:
        assert talk.code is None
        assert [each["message"]["number"] for each in talk.of_type("message.posted")] == expected
    await asyncio.gather(*[talk.close() for talk in talks])
