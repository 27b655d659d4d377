from django.conf import settings
from django.contrib.auth.views import LoginView
from django.urls import include, path
from django.views.static import serve

from shop import views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("orders/<int:number>/", views.order, name="order"),
    path("orders/<int:number>/without/<uuid:person>/", views.shut_out, name="shut_out"),
    path("door/", LoginView.as_view(template_name="shop/door.html"), name="door"),
    path("talk/", include("chat.urls")),
    # In production, a web server in front would serve these.
    path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}),
]
