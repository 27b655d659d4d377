"""Fill a site with everything that a page can show, for the screenshots and the accessibility tests."""

import json

from tests.rig.site import Site

FILL = r'''
import json
from datetime import timedelta
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.utils import timezone

from chat import api
from chat.services.importing import PastMessage

users = {each.username: each for each in get_user_model().objects.all()}
ana, ben, cleo, dan, eve, olga = (users[name] for name in ("ana", "ben", "cleo", "dan", "eve", "olga"))
start = timezone.now() - timedelta(days=3)


def fill(room, *lines, minutes=7):
    """Lines are (author, body, more)."""
    ids = [uuid4() for _ in lines]
    past = []
    for number, (author, body, *more) in enumerate(lines):
        options = dict(more[0]) if more else {}
        if "reply_to" in options:
            options["reply_to"] = ids[options["reply_to"]]
        at = start + timedelta(minutes=minutes * number)
        for name in ("edited_at", "deleted_at"):
            if options.pop(name, False):
                options[name] = at + timedelta(minutes=1)
        past.append(PastMessage(client_id=ids[number], author=author, body=body, created_at=at, **options))
    api.import_messages(room, past)


CODE = """Here is what I mean:

```python
def warm(room: Room, logs: int = 3) -> Fire:
    # A comment that is much longer than the column is wide, so that this block has to scroll sideways, not the page.
    return room.hearth.light("oak", logs)
```

and then `make run`, or all of it at once: `ENV_FILE=/etc/hearth/a-long-name.env python manage.py serve --port 8000`
"""
TABLE = """| what | before | after | remark |
|---|---|---|---|
| posts/s | 230 | 12,000 | group commit, on one thread, in one transaction |
| CPU a delivery | 160 µs | 8 µs | encoded once |
"""
LIST = """Three things before Friday:

1. the *soup*
2. the **bread**, and
3. [the menu](https://example.org/menu)

> Who cooks doesn't wash up.
"""
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
EMOJI = [chr(code) for code in (*range(0x1F600, 0x1F630), 0x1F44D, 0x1F389)]

topic = "Who cooks what, and who washes up"
kitchen = api.create_room("Kitchen", ana, kind="open", topic=topic, members=[ben, cleo, dan])
fill(
    kitchen,
    (ana, "Good morning! The kettle is on.", {"reactions": [("☕", ben), ("☕", cleo), ("👍", dan)]}),
    (ana, "There is fresh bread too."),
    (ben, "On my way.", {"reply_to": 0}),
    (cleo, LIST),
    (dan, "I can take the bread. @ana, do you take the soup?", {"reply_to": 3}),
    (ana, CODE, {"edited_at": True}),
    (ben, "oops, wrong room", {"deleted_at": True}),
    (cleo, TABLE, {"reactions": [("🎉", ana), ("🎉", ben), ("🎉", dan), ("👀", ana)]}),
    (ben, "Looks good. Numbers at last!"),
    (ben, "I'll put them on the wall."),
)
long_words = api.create_room(
    "Everything that has to do with cooking, baking, eating and washing up in this house", ben, kind="open",
    topic="A topic that goes on and on, because somebody thought that it should hold the rules of the house: " * 2,
    members=[ana, olga],
)
fill(
    long_words,
    (ben, LONG),
    (olga, "https://example.org/" + "a-very-long-path/" * 20),
    (ana, "`" + "unbroken_code_" * 30 + "`"),
    (ben, "All of them.", {"reactions": [(each, ana) for each in EMOJI]}),
    (ana, "Yes.", {"reply_to": 0}),
)
rtl = api.create_room("مطبخ", ana, kind="open", topic="من يطبخ اليوم؟", members=[ben, cleo])
fill(
    rtl,
    (ben, "صباح الخير! هل نطبخ الحساء اليوم؟ أحضرت *leek* من السوق."),
    (ana, "Yes, please. שלום לכולם"),
    (cleo, "نعم:\n\n- الخبز\n- الجبن\n\n```python\nprint('left to right')\n```", {"reply_to": 0}),
)
empty = api.create_room("Quiet corner", ana, kind="private", members=[ben])
archive = api.create_room("Summer party", ana, kind="open", members=[ben])
fill(archive, (ana, "That was nice."), (ben, "Until next year!"))
api.archive_room(archive)
lobby = api.create_room("Garden", ben, kind="open", topic="Beds, bees and the shed", members=[cleo])
fill(lobby, (ben, "The first tomatoes are red."), (cleo, "Already?"))
busy = api.create_room("Announcements", ben, kind="open", members=[ana, cleo, dan])
news = [(ben if number % 3 else cleo, f"News number {number}: nothing burned.") for number in range(1, 131)]
fill(busy, *news, minutes=3)
direct = api.open_direct(ana, [ben])
fill(direct, (ben, "Do you have a minute?"), (ben, "It is about the @ana thing."))
api.open_direct(ana, [cleo, dan])
print(json.dumps({
    "kitchen": kitchen.pk, "long": long_words.pk, "rtl": rtl.pk, "empty": empty.pk, "archived": archive.pk,
    "garden": lobby.pk, "busy": busy.pk, "direct": direct.pk,
}))
'''


def fill(site: Site) -> dict[str, int]:
    """Fill the site and return the room ids by name. ``ana`` is in all rooms but the garden; ``olga`` owns the site."""
    rooms: dict[str, int] = json.loads(site.python(FILL))
    return rooms
