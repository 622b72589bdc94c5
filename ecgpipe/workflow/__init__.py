"""The workflow around the stages: jobs, what they depend on, and what surrounds each."""

import sys

if sys.platform == "win32":
    raise ImportError(
        "ecgpipe runs on Linux and macOS, not on Windows itself: its jobs need POSIX file locks. Install WSL "
        "(https://learn.microsoft.com/windows/wsl/install) and run it there, with the study below the Linux home folder"
    )
