"""`python -m mithaq`: the command line."""

from __future__ import annotations

import io
import sys

from mithaq.cli.run import main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal without Arabic letters still shows which they are
    sys.exit(main())
