"""The pages of the chat. A host site includes this under any prefix: ``path("chat/", include("chat.urls"))``."""

from django.urls import path

from chat.web import views

app_name = "chat"
urlpatterns = [
    path("", views.room_list, name="room_list"),
    path("rooms/<str:room>/", views.room, name="room"),
]
