"""The addresses of a site that forgot the chat's."""

urlpatterns: list[object] = []
