"""The path of the socket, for the pages that open it and for the routing that serves it."""

from chat.conf import conf


def socket_path(script_name: str) -> str:
    """The path of the socket on a site below ``script_name`` ("" or "/intranet")."""
    path = conf.socket_path
    return path if path.startswith("/") else f"{script_name.rstrip('/')}/{path}"
