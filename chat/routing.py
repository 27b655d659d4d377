"""``URLRouter(websocket_urlpatterns)`` serves the socket at ``/ws/chat/``; a host may mount it elsewhere."""

from django.urls import path

from chat.consumers import ChatConsumer

websocket_urlpatterns = [path("ws/chat/", ChatConsumer.as_asgi())]
