"""The WebSocket edge: one consumer for each socket. No domain rule lives here.

Frames become commands (``inbox``), commands run in order (``dispatch``) and each becomes one call of a service or a
read (``commands``). What is sent is up to the hub (``chat/live``).
"""
