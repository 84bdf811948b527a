"""``python -m rbmscape``."""

import sys

from rbmscape.cli.main import main

sys.exit(main())
