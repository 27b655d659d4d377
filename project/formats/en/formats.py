"""Times of day in English as the chat tells them (chat/web/timeline.py), in the admin and on account pages too.

Django's own would be "3:04 p.m." beside the messages' 15:04. In German it is that way already.
"""

TIME_FORMAT = "H:i"
DATETIME_FORMAT = "N j, Y, H:i"
SHORT_DATETIME_FORMAT = "m/d/Y H:i"
