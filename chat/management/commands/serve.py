import sys
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.server import systemd
from chat.server.listening import CannotListen, Places
from chat.server.serving import InvalidOption, Options, places, serve


class Command(BaseCommand):
    help = (
        "Serve the site and the chat's sockets with daphne, for production as well. It ends gracefully on SIGTERM: "
        "clients are told to connect again, and what was asked is answered first."
    )
    requires_system_checks: Any = ()  # they take a second, and are for `manage.py check`

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", action="append", help="name or address to listen on, or * for all; repeatable")
        parser.add_argument("--port", type=int, help="the port (default: 8000)")
        parser.add_argument("--unix", metavar="PATH", help="listen on a Unix socket")
        parser.add_argument("--unix-mode", type=_mode, default=0o660, help="who may connect to it (default: 660)")
        parser.add_argument("--fd", type=int, action="append", help="a descriptor of a listening socket; repeatable")
        parser.add_argument("--processes", type=int, help="how many processes serve on these sockets (default: 1)")
        parser.add_argument("--proxy", action="append", help="address or network of a proxy, or unix; repeatable")
        parser.add_argument("--server-name", help="the Server header (default: none)")
        parser.add_argument("--handshake-header", action="append", help="'Name: value' for handshakes; repeatable")
        parser.add_argument("--access-log", default="", help="file for a line per request, or - for standard output")
        parser.add_argument("--parent", type=int, help="used by --processes alone")

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            options = Options(places=_places(given), **_chosen(given))
            status = serve(options, arguments=_arguments(given))
        except (InvalidOption, CannotListen) as error:
            raise CommandError(str(error)) from None
        if status:
            sys.exit(status)


def _places(given: dict[str, Any]) -> Places:
    descriptors = tuple(given["fd"] or systemd.passed_descriptors())
    default = places()
    if given["host"] or given["unix"]:
        default = replace(default, hosts=tuple(given["host"] or ()), unix=given["unix"])
    port = default.port if given["port"] is None else given["port"]
    return replace(default, port=port, unix_mode=given["unix_mode"], descriptors=descriptors)


def _chosen(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, under the names that ``Options`` has for them."""
    processes = 1 if given["parent"] is not None else given["processes"]
    found = {
        "processes": processes,
        "proxies": tuple(given["proxy"]) if given["proxy"] else None,
        "server_name": given["server_name"],
        "handshake_headers": tuple(given["handshake_header"]) if given["handshake_header"] else None,
        "access_log": given["access_log"],
        "parent": given["parent"],
    }
    if processes is not None and processes < 1:
        raise CommandError("--processes is at least 1.")
    return {name: value for name, value in found.items() if value is not None}


def _arguments(given: dict[str, Any]) -> list[str]:
    """The command line for each of several processes, without where to listen."""
    found = [f"--verbosity={given['verbosity']}"]
    found += [f"--proxy={each}" for each in given["proxy"] or ()]
    found += [f"--handshake-header={each}" for each in given["handshake_header"] or ()]
    if given["server_name"] is not None:
        found.append(f"--server-name={given['server_name']}")
    if given["access_log"]:
        found.append(f"--access-log={given['access_log']}")
    return found


def _mode(text: str) -> int:
    return int(text, 8)
