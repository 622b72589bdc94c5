"""What is printed and logged holds no password, and no code that a terminal would obey.

Values of known fields (``base_url``) are cut by their parts: :func:`hide` remembers an address's user, password and
query, and :func:`without_passwords` then removes them from any text. Texts of unknown origin are searched for what
looks like an address.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import quote, unquote

_USER = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"((?:https?|s3)://[^\s?'\"]*)\?(?!\*\*\*)\S*")
_HIDDEN = "***"
SHORTEST = 4
"""A shorter password is not searched for by itself: it would stand in too many words."""

_secrets: set[str] = set()


def _parts(address: str) -> tuple[str, str, str, str]:
    """Return scheme with ``://``, user and password, the rest, and the query of anything like an address.

    All up to the last ``@`` counts as user and password, since a password may hold what should have been quoted. If
    there is an ``@`` after a ``?``, nobody can tell where the query begins: all counts as secret.
    """
    scheme, separator, rest = address.partition("://")
    if "@" in rest.partition("?")[2]:
        return scheme + separator, rest, "", ""
    user, at, rest = rest.rpartition("@")
    rest, _, query = rest.partition("?")
    return scheme + separator, user + at, rest, query


def hide(address: str) -> None:
    """Remember what is secret in an address, in all the forms in which it may be written."""
    if "://" not in address:
        return
    _, user, _, query = _parts(address)
    before, _, after = user.partition("?")
    secrets = {user, user.removesuffix("@").partition(":")[2], query}
    if after:  # both readings
        user, at, _ = before.rpartition("@")
        secrets |= {user + at, user.partition(":")[2], after}
    for secret in secrets:
        for plain in (secret, unquote(secret)):
            forms = {plain, quote(plain), quote(plain, safe=""), quote(plain, safe="@:")}
            forms |= {repr(plain)[1:-1], json.dumps(plain)[1:-1], shlex.quote(plain)[1:-1]}
            _secrets.update(form for form in forms if len(form) >= SHORTEST)


def without_secrets_of(address: str) -> str:
    """Return an address without user, password and query; a text that is none as it is."""
    if "://" not in address:
        return address
    scheme, user, rest, query = _parts(address)
    hidden = (f"{_HIDDEN}@" if rest else _HIDDEN) if user else ""
    return f"{scheme}{hidden}{rest}{f'?{_HIDDEN}' if query else ''}"


def redacted(value: Any) -> Any:
    """Return nested dictionaries and lists with every address in them without user, password and query."""
    if isinstance(value, dict):
        return {redacted(key): redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(redacted, value))
    return without_secrets_of(value) if isinstance(value, str) else value


def without_passwords(text: str) -> str:
    """Return ``text`` with user names, passwords and query strings (tokens) in addresses replaced by ``***``."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, f"{_HIDDEN}@" if secret.endswith("@") else _HIDDEN)
    return _QUERY.sub(rf"\1?{_HIDDEN}", _USER.sub(f"{_HIDDEN}@", text))


def printable(text: str) -> str:
    """Return ``text`` with whatever a terminal would obey, or could not show, as an escape such as ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
