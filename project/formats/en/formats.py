"""English times in the admin and on account pages have the same format as in the chat (chat/web/timeline.py).

Django's own format would show "3:04 p.m." beside a message's 15:04. Its German format needs no change.
"""

TIME_FORMAT = "H:i"
DATETIME_FORMAT = "N j, Y, H:i"
SHORT_DATETIME_FORMAT = "m/d/Y H:i"
