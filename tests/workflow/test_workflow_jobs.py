"""The description of each kind of job agrees with the rules, the scripts and the environments."""

from __future__ import annotations

import ast
import re

import pytest
from checkout import ROOT

from ecgpipe.workflow import code_digest
from ecgpipe.workflow.jobs import JOBS

RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
SCRIPTS = ROOT / "workflow_scripts"


def test_every_rule_that_makes_results_is_described() -> None:
    rules = re.findall(r"^rule (\w+):", RULES, re.MULTILINE) + re.findall(
        r"^use rule \w+ as (\w+) with", RULES, re.MULTILINE
    )
    assert set(rules) - {"download_plan"} == set(JOBS)
    assert len(rules) == len(set(rules))


def test_every_job_says_its_own_name_when_it_starts() -> None:
    """A rule that is made from another without a message of its own would say that one's."""
    rules = re.split(r"^(?:use )?rule ", RULES, flags=re.MULTILINE)[1:]
    classifiers = [text for text in rules if re.match(r"(classify_real:|classify_real as )", text)]
    assert len(classifiers) == len([name for name in JOBS if name.startswith("classify_")])
    assert [text.split("\n")[0] for text in classifiers if not re.search(r"message:\s+[A-Z_]+\.message", text)] == []


def test_no_rule_names_the_folder_of_results_itself() -> None:
    """A study with a folder of its own has its results elsewhere: paths are made by ``at`` and ``{results}``."""
    code = re.sub(r"\"\"\".*?\"\"\"", "", RULES, flags=re.DOTALL)
    assert re.findall(r"(?<![\w}])results/", code) == []


def test_every_script_and_environment_is_there() -> None:
    assert {kind.script for kind in JOBS.values()} | {"_repository", "partial", "download_plan", "describe_config"} == {
        path.stem for path in SCRIPTS.glob("*.py")
    }
    assert {kind.environment for kind in JOBS.values()} == {path.stem for path in (ROOT / "envs").glob("*.yaml")}


def test_no_two_kinds_share_a_file() -> None:
    for name in ("log", "benchmark", "provenance", "checksums"):
        paths = [
            getattr(kind, name)
            for kind in JOBS.values()
            if not (name != "log" and kind.rule in ("merge", "rotate", "pool"))
        ]
        assert len(paths) == len(set(paths)), name
    for kind in JOBS.values():
        assert kind.provenance.endswith("provenance.json")


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_read_arguments_and_make_one_call(path) -> None:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == ([] if path.stem == "_repository" else ["main"])
    assert len(path.read_text().splitlines()) <= 65


def test_what_runs_jobs_is_in_no_digest_and_all_else_is() -> None:
    """Exactly these modules are excluded: a wrong one would leave results stale, or rerun them for a message."""
    assert code_digest.NOT_FOLLOWED == ("ecgpipe.config", "ecgpipe.redaction", "ecgpipe.workflow")
    assert code_digest.FOLLOWED == ("ecgpipe.config.derived",)
    for kind in JOBS.values():
        reached = set(code_digest.closure(SCRIPTS / f"{kind.script}.py"))
        assert {name for name in reached if name.startswith(code_digest.NOT_FOLLOWED)} <= set(code_digest.FOLLOWED), (
            kind.rule
        )
        assert f"script:{kind.script}" in reached
