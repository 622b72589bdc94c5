"""Scripts and data inside a page: a content security policy lets just these scripts run, whatever records are named."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def script(*names: str) -> Markup:
    """Return the package's own script files, one after the other, as the text of one script element."""
    folder = Path(__file__).parent
    text = "".join((folder / name).read_text(encoding="utf-8") for name in names)
    if "</" in text:
        raise ValueError(f"{', '.join(names)}: a script in a page must not hold '</'")
    return Markup(text)  # noqa: S704 - the package's own files


def policy(text: str) -> str:
    """Return the content security policy of a page without network whose only script is ``text``."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def data(value: Any) -> Markup:
    """Return JSON that is safe as the text of a script element of type ``application/json``."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPED))  # noqa: S704 - no character of HTML is left
