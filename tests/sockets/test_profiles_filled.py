"""A process makes the profiles that members lack, without being asked: an older version may have added them."""

import asyncio
from typing import Any

import pytest

from chat.models import Profile, Room
from chat.runtime import pools
from tests.sockets.socket import socket_of

pytestmark = pytest.mark.usefixtures("socket_process")


async def test_a_process_that_starts_makes_the_profiles_that_members_lack(ana: Any, lobby: Room) -> None:
    def there(key: str) -> bool:
        return Profile.objects.filter(pk=key).exists()

    await pools.site.run(Profile.objects.all().delete)
    async with asyncio.timeout(30), socket_of(ana):
        while not await pools.site.run(there, str(ana.pk)):  # noqa: ASYNC110 - the database has no events
            await asyncio.sleep(0.01)
