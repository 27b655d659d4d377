import re
from secrets import token_hex
from typing import Any

from django.db import migrations
from django.utils.text import slugify


def make_unguessable(apps: Any, schema_editor: Any) -> None:
    """Whoever makes a room learns whether its plain slug is taken, and so whether a private room has that name."""
    rooms = apps.get_model("chat", "Room").objects.using(schema_editor.connection.alias)
    for room in rooms.filter(kind="private", deleted_at=None).iterator():
        plain = slugify(room.name, allow_unicode=True)[:60] or "room"
        if not re.fullmatch(re.escape(plain) + "-[0-9a-f]{8}", room.slug):
            rooms.filter(pk=room.pk).update(slug=f"{plain}-{token_hex(4)}")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0005_indexes"),
    ]

    operations = [
        migrations.RunPython(make_unguessable, migrations.RunPython.noop),
    ]
