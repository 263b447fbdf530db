"""What holds for every test."""

import signal

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass  # inside Blender, where no test draws examples
else:
    # Speed is never asserted: the first example of a test may have to compile or read a file.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as in a job of a script that runs in the background; the processes that tests interrupt
    # would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
