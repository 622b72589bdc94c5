"""Signals of one form, one rhythm a record, splits by patient.

in: {raw_dir}/{dataset}.parquet and the records it lists
out: results/data/{dataset}/{signals.npy,records.parquet,excluded.parquet,summary.json}; of a further rotation of a
     dataset's folds, results/data/{dataset}-2/ and so on, signals and records only
"""

from ecgpipe.config.derived import LABEL_MAPS

PREPROCESS, MERGE, ROTATE = (JOBS[rule] for rule in ("preprocess", "merge", "rotate"))
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


rule rotate:
    """Give a dataset the splits of another rotation of its folds."""
    input:
        checksums=lambda w: expand(DATA, dataset=STUDY.dataset_of(w.dataset)),
        data=lambda w: ancient(expand(DATA_FILES, dataset=STUDY.dataset_of(w.dataset))),
    output:
        **ROTATE.outputs(
            signals="signals.npy",
            records="records.parquet",
        ),
    log:
        ROTATE.log,
    benchmark:
        ROTATE.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.rotations),
    conda:
        ROTATE.conda
    resources:
        **resources(ROTATE),
    params:
        source=lambda w: STUDY.dataset_of(w.dataset),
        rotation=lambda w: STUDY.rotation(w.dataset),
        code=STUDY.code(ROTATE.script),
    message:
        ROTATE.message
    shell:
        command(
            ROTATE,
            "--dataset {results}/data/{params.source}",
            "--rotation {params.rotation[0]}",
            "--of {params.rotation[1]}",
            "--out {results}/data/{wildcards.dataset}",
        )
