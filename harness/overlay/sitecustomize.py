# SPDX-License-Identifier: GPL-2.0
"""Python imports this at its start, from PYTHONPATH.

Ctrl-C ends a script without a traceback, also in a background job.
"""

import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.excepthook = lambda kind, error, trace: (
    None if kind is KeyboardInterrupt else sys.__excepthook__(kind, error, trace))
