"""Signals of one form, one rhythm a record, splits by patient.

in: {raw_dir}/{dataset}.parquet and the records it lists
out: results/data/{dataset}/{signals.npy,records.parquet,excluded.parquet,summary.json}
"""

from ecgpipe.config import LABEL_MAPS

# A label map of the user's own is an input like any other.
LABEL_MAP = [n for n in [STUDY.config.preprocess.label_map] if n not in LABEL_MAPS]


rule preprocess:
    input:
        manifest=rules.acquire.output.manifest,
        labels=LABEL_MAP,
    output:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        excluded="results/data/{dataset}/excluded.parquet",
        summary="results/data/{dataset}/summary.json",
        provenance="results/data/{dataset}/provenance.json",
    log:
        "results/logs/preprocess/{dataset}.log",
    benchmark:
        "results/benchmarks/preprocess/{dataset}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.sourced),
    conda:
        "../envs/data.yaml"
    threads: STUDY.config.compute.workers
    resources:
        mem_mb=growing(2000),
        runtime=120,
    params:
        settings=lambda w: STUDY.preprocessing(w.dataset),
        code=STUDY.code("preprocess"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/preprocess.py" --dataset {wildcards.dataset} --manifest {input.manifest:q} --settings {params.settings:q} '
        "--out results/data/{wildcards.dataset} --workers {threads} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule merge:
    input:
        lambda w: expand(
            "results/data/{member}/{file}",
            member=STUDY.members(w.dataset),
            file=[
                "signals.npy",
                "records.parquet",
                "excluded.parquet",
                "summary.json",
            ],
        ),
    output:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        excluded="results/data/{dataset}/excluded.parquet",
        summary="results/data/{dataset}/summary.json",
        provenance="results/data/{dataset}/provenance.json",
    log:
        "results/logs/merge/{dataset}.log",
    benchmark:
        "results/benchmarks/merge/{dataset}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.merged),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=60,
    params:
        members=lambda w: STUDY.members(w.dataset),
        code=STUDY.code("merge"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/merge.py" --members {params.members} --data results/data --out results/data/{wildcards.dataset} '
        "--provenance {output.provenance:q} --code {params.code} --log {log:q}"
