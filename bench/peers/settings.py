"""The minimal settings of the two Channels peers."""

import os

import dj_database_url

SECRET_KEY = "only-for-measuring"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["bench.peers.posts"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {}
CHANNEL_LAYERS = {}

if url := os.environ.get("DATABASE_URL"):
    DATABASES["default"] = dj_database_url.parse(url, conn_max_age=None)
    if url.startswith("sqlite"):
        # As durable as our server: an acknowledged post is on disk.
        DATABASES["default"]["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        }
if url := os.environ.get("REDIS_URL"):
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [url]},
    }
