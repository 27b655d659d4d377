"""A consumer that stores each message in its own transaction, as most Channels chats do, and acknowledges it."""

import json
import os

import django
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.settings")
django.setup()

from bench.peers.posts.models import Post  # noqa: E402


class StoringConsumer(AsyncWebsocketConsumer):
    async def receive(self, text_data):
        command = json.loads(text_data)
        number = await self.store(command["author"], command["message"])
        await self.send(text_data=json.dumps({"ok": True, "id": number}))

    @database_sync_to_async
    def store(self, author, body):
        return Post.objects.create(room="lobby", author=author, body=body).pk


application = ProtocolTypeRouter(
    {"websocket": URLRouter([re_path(r"ws/chat/(?P<room_name>\w+)/$", StoringConsumer.as_asgi())])}
)
