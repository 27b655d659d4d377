import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

from chat.asgi import get_asgi_application

application = get_asgi_application()
