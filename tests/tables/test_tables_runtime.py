"""Time and memory from the files that Snakemake's benchmark directive writes."""

import json

import numpy as np
import pytest

from ecgpipe.tables.runtime import runtime_table


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


PLAIN = {"cpu_time": 0.41, "h:m:s": "0:00:02", "max_rss": 111.7, "max_vms": 115.8, "mean_load": 0.88, "s": 2.2625}
EXTENDED = {**PLAIN, "rule_name": "make", "wildcards": {"d": "a"}, "threads": 1, "s": 3.5}
TOO_SHORT = {"cpu_time": "NA", "h:m:s": "0:00:00", "max_rss": "NA", "s": 0.3}


def test_jobs_are_found_by_their_path(tmp_path):
    folder = tmp_path / "results" / "benchmarks"
    paths = [
        write(folder / "acquire" / "ptb.jsonl", TOO_SHORT),
        write(folder / "generate" / "ptb" / "diffwave.jsonl", PLAIN, EXTENDED),
        write(folder / "classify" / "chapman-diffwave-transfer.jsonl", PLAIN),
        write(folder / "report" / "report.jsonl", PLAIN),
    ]
    provenances = [
        tmp_path / "results" / place
        for place in ("raw/ptb.provenance.json", "generators/ptb/diffwave/provenance.json", "no", "none")
    ]
    told = {"start_up_seconds": 0.1, "cpu_seconds": 0.4, "seconds": 0.25}
    for provenance in provenances[:2]:
        write(provenance, told)
    table = runtime_table(zip(paths, provenances, strict=True), {"ptb", "chapman"}, {"diffwave"})
    assert list(table["stage"]) == ["acquire", "generate", "classify", "report"]
    assert list(table["job"]) == ["ptb", "ptb/diffwave", "chapman-diffwave-transfer", "report"]
    assert list(table["dataset"]) == ["ptb", "ptb", "chapman", None]
    assert list(table["generator"]) == [None, "diffwave", "diffwave", None]
    np.testing.assert_array_equal(table["seconds"], [0.3, 3.5, 2.2625, 2.2625])
    np.testing.assert_array_equal(table["cpu_seconds"], [0.4, 0.4, np.nan, np.nan])
    np.testing.assert_allclose(table["start_up_seconds"], [0.15, 3.35, np.nan, np.nan])
    np.testing.assert_array_equal(table["peak_memory_mb"], [np.nan, 111.7, 111.7, 111.7])


def test_no_jobs_give_an_empty_table():
    assert runtime_table([], {"a"}, {"g"}).empty


def test_bad_benchmarks_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.jsonl is missing"):
        runtime_table([(tmp_path / "benchmarks" / "s" / "x.jsonl", tmp_path)], {}, {})
    with pytest.raises(ValueError, match="not of the form"):
        runtime_table([(tmp_path / "benchmarks" / "x.jsonl", tmp_path)], {}, {})
    for text in ("", "{", '{"cpu_time": 1}'):
        path = write(tmp_path / "benchmarks" / "s" / "x.jsonl")
        path.write_text(text)
        with pytest.raises(ValueError, match=r"x\.jsonl is not a benchmark"):
            runtime_table([(path, tmp_path)], {}, {})
