"""``python -m chat.client``: the terminal client."""

import sys

from chat.client.terminal import main

sys.exit(main(sys.argv[1:]))
