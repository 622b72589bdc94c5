"""No default of the study's configuration, which the digests of the code do not follow, decides a result here."""

import ast
from pathlib import Path

import ecgpipe.closeness
from ecgpipe.closeness import twosample

PACKAGE = Path(ecgpipe.closeness.__file__).parent


def imported_from_config(path: Path) -> set[str]:
    """Return what a module imports from ``ecgpipe.config``, wherever in the module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "ecgpipe":
            found |= {f"ecgpipe.{alias.name}" for alias in node.names if alias.name == "config"}
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("ecgpipe.config."):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if f"{alias.name}.".startswith("ecgpipe.config.")}
    return found


def test_only_the_settings_of_the_cnn_come_from_config():
    found = {path.name: imported_from_config(path) for path in PACKAGE.glob("*.py")}
    assert {name: names for name, names in found.items() if names} == {"twosample.py": {"ClassifierSettings"}}


def test_every_setting_of_the_cnn_is_given():
    assert twosample.CNN.model_fields_set == set(type(twosample.CNN).model_fields)
