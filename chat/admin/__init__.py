"""The chat's part of Django's admin. Everything done there goes through the services, so open pages show it at once.

Django imports this package where ``django.contrib.admin`` is installed; nothing else does.
"""

from chat.admin import memberships, messages, rooms, tokens

__all__ = ["memberships", "messages", "rooms", "tokens"]
