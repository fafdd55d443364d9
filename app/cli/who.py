"""Who runs a command, as the operating system says."""

from __future__ import annotations

import os
import pwd
import socket


def user_name() -> str:
    """The user's name, and whose `sudo` it is by: `root (sudo: anna)`."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name  # not as LOGNAME and USER say, which anybody sets
    except KeyError:  # a container may run under a number that has no name
        user = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{user} (sudo: {behind})" if behind and behind != user else user


def user_at_host() -> str:
    """The same, and on which host."""
    return f"{user_name()}@{socket.gethostname()}"
