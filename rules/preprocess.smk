"""Signals of one form, one rhythm a record, splits by patient.

in: {raw_dir}/{dataset}.parquet and the records it lists
out: results/data/{dataset}/{signals.npy,records.parquet,excluded.parquet,summary.json}
"""

from ecgpipe.config.derived import LABEL_MAPS

PREPROCESS, MERGE = JOBS["preprocess"], JOBS["merge"]
DATASET = {
    "signals": "signals.npy",
    "records": "records.parquet",
    "excluded": "excluded.parquet",
    "summary": "summary.json",
}
# A label map of the user's own is an input like any other.
LABEL_MAP = [n for n in [STUDY.config.preprocess.label_map] if n not in LABEL_MAPS]


rule preprocess:
    """Turn one dataset's raw records into signals of one form with labels and splits."""
    input:
        checksums=rules.acquire.output.checksums,
        manifest=ancient(rules.acquire.output.manifest),
        labels=LABEL_MAP,
    output:
        **PREPROCESS.outputs(**DATASET),
    log:
        PREPROCESS.log,
    benchmark:
        PREPROCESS.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.sourced),
    conda:
        PREPROCESS.conda
    threads: STUDY.config.compute.workers
    resources:
        **resources(PREPROCESS),
    params:
        settings=lambda w: STUDY.preprocessing(w.dataset),
        code=STUDY.code(PREPROCESS.script),
    message:
        PREPROCESS.message
    shell:
        command(
            PREPROCESS,
            "--dataset {wildcards.dataset}",
            "--manifest {input.manifest:q}",
            "--settings {params.settings.file:q}",
            "--out {results}/data/{wildcards.dataset}",
            "--workers {threads}",
        )


rule merge:
    """Unite prepared datasets into one."""
    input:
        checksums=lambda w: expand(DATA, dataset=STUDY.members(w.dataset)),
        data=lambda w: ancient(
            expand(
                at("data/{member}/{file}"),
                member=STUDY.members(w.dataset),
                file=DATASET.values(),
            )
        ),
    output:
        **MERGE.outputs(**DATASET),
    log:
        MERGE.log,
    benchmark:
        MERGE.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.merged),
    conda:
        MERGE.conda
    resources:
        **resources(MERGE),
    params:
        members=lambda w: STUDY.members(w.dataset),
        code=STUDY.code(MERGE.script),
    message:
        MERGE.message
    shell:
        command(
            MERGE,
            "--members {params.members}",
            "--data {results}/data",
            "--out {results}/data/{wildcards.dataset}",
        )
