"""A study of thousands of jobs is planned, and planning it does nothing twice.

How long it takes: ``benchmarks/workflow.py``.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT, copy_project
from large_study import enlarged, expected_jobs

from ecgpipe.config import validate
from ecgpipe.workflow import code_digest
from ecgpipe.workflow.study import Study

TINY = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())


@pytest.mark.long
@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_a_study_of_two_thousand_jobs_is_planned(tmp_path: Path) -> None:
    checkout = copy_project(tmp_path / "project")
    (checkout.folder / checkout.config).write_text(yaml.safe_dump(enlarged(TINY, 20, 20)))
    jobs = checkout.pending("all")
    assert sum(jobs.values()) > 2000
    assert jobs == expected_jobs(20, 20)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each source file is parsed, from now on."""
    for cached in (code_digest._file_digest, code_digest._parse, code_digest._imports, code_digest.digest):
        cached.cache_clear()
    counts: Counter[str] = Counter()
    parse = ast.parse

    def counting(source: str, filename: str = "", **options: Any) -> ast.AST:
        counts[filename] += 1
        return parse(source, filename=filename, **options)

    monkeypatch.setattr(ast, "parse", counting)
    return counts


def test_source_files_are_read_once_however_many_jobs_depend_on_them(parsed: Counter[str]) -> None:
    study = Study(validate(enlarged(TINY, 20, 20)), ROOT / "workflow_scripts")
    for _, generator in study.models:
        study.generator_code("generate", generator)
        study.generator_code("sample", generator)
    assert len(study.models) == 400
    assert str(ROOT / "ecgpipe" / "generate" / "diffwave.py") in parsed
    assert set(parsed.values()) == {1}
    assert code_digest.digest.cache_info().misses == 2
