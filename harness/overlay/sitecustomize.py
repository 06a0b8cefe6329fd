# SPDX-License-Identifier: GPL-2.0
"""Python imports this at its start, from PYTHONPATH: Ctrl-C ends a script without a traceback."""

import sys

sys.excepthook = lambda kind, error, trace: None if kind is KeyboardInterrupt else sys.__excepthook__(kind, error, trace)
