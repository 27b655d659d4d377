"""The URLconf of a site that forgot to include the chat's URLs."""

urlpatterns: list[object] = []
