import sys

from torture.command import main

sys.exit(main(sys.argv[1:]))
