"""What a decoding process gives up before it sees a file: room, time, the network, programs, and writing.

Limits of the process (setrlimit) hold wherever there are any; a filter of system calls (seccomp) is laid over them on
Linux where libseccomp is. The filter refuses by EPERM what no decoder needs, so one that is taken over can neither
reach out nor leave anything behind; it can still read files that its user can read, and answer its own task.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

OPEN_FILES = 256


def restrict(memory_bytes: int) -> bool:
    """Give it all up, for good, and return whether system calls are filtered; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere the address space says little of the memory in use
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # No limit on processes: it counts all of a user's, so it would hit threads of others; the filter refuses new ones.
    from indexer.call_filter import filter_calls

    return filter_calls()


def allow_seconds(seconds: float) -> None:
    """Let this process compute for so long from now on; then it is killed, even if its parent has stopped watching."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds * (os.cpu_count() or 1)) + 2
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, most))
