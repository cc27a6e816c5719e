"""The system calls that a decoding process must do without: a filter of seccomp, where libseccomp is."""

from __future__ import annotations

import errno
import logging
import os
from typing import Any

# Here and not where it is used: finding the library takes a while, and decoding processes are forked with it found.
try:
    import pyseccomp
except (ImportError, RuntimeError, OSError):  # not Linux, no package, or no libseccomp
    pyseccomp = None

log = logging.getLogger(__name__)

REFUSED = (
    # the network
    "socket connect bind listen accept accept4 sendto sendmmsg recvfrom recvmmsg",
    # programs and processes; clone is let through for threads only
    "execve execveat fork vfork kill tkill pidfd_open pidfd_send_signal pidfd_getfd ptrace process_vm_readv"
    " process_vm_writev",
    # what changes files
    "creat truncate rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat mkdir mkdirat rmdir mknod"
    " mknodat chmod fchmod fchmodat chown fchown lchown fchownat utime utimes utimensat setxattr lsetxattr fsetxattr"
    " removexattr lremovexattr fremovexattr",
    # what changes the machine, or opens a way around this
    "mount umount2 pivot_root chroot unshare setns bpf perf_event_open keyctl add_key request_key userfaultfd"
    " io_uring_setup io_uring_enter io_uring_register init_module finit_module kexec_load reboot swapon"
    " open_by_handle_at name_to_handle_at openat2 personality",
)
CLONE_THREAD = 0x10000


def filter_calls() -> bool:
    """Refuse them from now on, for good, and return whether that could be done."""
    if pyseccomp is None:
        return False
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in " ".join(REFUSED).split():
        _rule(rules, refuse, name)
    for name, which in (("open", 1), ("openat", 2)):
        for flag in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
            _rule(rules, refuse, name, pyseccomp.Arg(which, pyseccomp.MASKED_EQ, flag, flag))
    _rule(rules, refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    # Its flags lie in memory, where a filter cannot look: "there is no such call" makes the C library use clone.
    _rule(rules, pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.load()
    return True


def _rule(rules: Any, action: int, name: str, *arguments: Any) -> None:
    try:
        rules.add_rule(action, name, *arguments)
    except (OSError, ValueError):  # a call that this machine, or this libseccomp, does not have
        log.debug("no rule for %s", name)
