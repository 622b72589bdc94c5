"""Passwords stay out of what is printed and logged."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^/\s@'\"]*@")
_QUERY = re.compile(r"(https?://[^\s'\"?]*)\?[^\s'\"]*")


def without_passwords(text: str) -> str:
    """Return ``text`` with user names, passwords and query strings (tokens) in addresses replaced by ``***``."""
    return _QUERY.sub(r"\1?***", _USER.sub("***@", text))
