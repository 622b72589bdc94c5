"""The synthetic set of each generator, and of all together (`all`), in the form of a dataset.

in: results/generators/{dataset}/{generator}/
out: results/samples/{dataset}/{generator}/{signals.npy,records.parquet};
     for the target `wfdb` also results/wfdb/{dataset}/{generator}/
"""

SAMPLE, POOL, POOL_GENERATORS, EXPORT_WFDB = (
    JOBS[rule] for rule in ("sample", "pool", "pool_generators", "export_wfdb")
)
SAMPLE_SET = {"signals": "signals.npy", "records": "records.parquet"}


rule sample:
    """Draw one generator's synthetic set."""
    input:
        checksums=[GENERATE.checksums, DATA],
        model=ancient([rules.generate.output.weights, rules.generate.output.model]),
        records=ancient(at("data/{dataset}/records.parquet")),
    output:
        **SAMPLE.outputs(**SAMPLE_SET),
    log:
        SAMPLE.log,
    benchmark:
        SAMPLE.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.trained),
        generator=one_of(STUDY.repetitions),
    conda:
        SAMPLE.conda
    threads: THREADS * PROCESSES
    resources:
        **resources(SAMPLE, gpu=PROCESSES, processes=PROCESSES),
    params:
        settings=lambda w: STUDY.sampling(w.dataset, w.generator),
        name=lambda w: STUDY.generator_of(w.generator),
        code=lambda w: STUDY.generator_code(SAMPLE.script, w.generator),
    message:
        SAMPLE.message
    shell:
        command(
            SAMPLE,
            "--model {results}/generators/{wildcards.dataset}/{wildcards.generator}",
            "--data {results}/data/{wildcards.dataset}",
            "--name {params.name}",
            "--settings {params.settings.file:q}",
            "--out {results}/samples/{wildcards.dataset}/{wildcards.generator}",
            "--processes {resources.processes}",
        )


rule pool:
    """Unite one generator's synthetic sets of several datasets."""
    input:
        checksums=lambda w: members_sets(w, SAMPLES),
        samples=lambda w: ancient(members_sets(w, SAMPLE_FILES)),
    output:
        **POOL.outputs(**SAMPLE_SET),
    log:
        POOL.log,
    benchmark:
        POOL.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.pooled),
        generator=one_of(STUDY.repetitions),
    conda:
        POOL.conda
    resources:
        **resources(POOL),
    params:
        members=lambda w: STUDY.members(w.dataset),
        folders=lambda w: members_sets(w, at("samples/{dataset}/{generator}")),
        out=lambda w: at(f"samples/{w.dataset}/{w.generator}"),
        code=STUDY.code(POOL.script),
    message:
        POOL.message
    shell:
        command(
            POOL,
            "--members {params.members}",
            "--folders {params.folders}",
            "--out {params.out}",
        )


use rule pool as pool_generators with:
    input:
        checksums=expand(SAMPLES, generator=STUDY.config.generators, allow_missing=True),
        samples=ancient(
            expand(SAMPLE_FILES, generator=STUDY.config.generators, allow_missing=True)
        ),
    output:
        **POOL_GENERATORS.outputs(**SAMPLE_SET),
    log:
        POOL_GENERATORS.log,
    benchmark:
        POOL_GENERATORS.benchmark
    wildcard_constraints:
        dataset=one_of([*STUDY.datasets, *STUDY.rotations]),
    params:
        members=STUDY.config.generators,
        folders=lambda w: expand(
            at("samples/{dataset}/{generator}"),
            dataset=w.dataset,
            generator=STUDY.config.generators,
        ),
        out=lambda w: at(f"samples/{w.dataset}/all"),
        code=STUDY.code(POOL.script),
    message:
        POOL_GENERATORS.message


rule export_wfdb:
    """Write a synthetic set as WFDB records."""
    input:
        checksums=SAMPLES,
        samples=ancient(SAMPLE_FILES),
    output:
        **EXPORT_WFDB.outputs(),
        records=directory(at("wfdb/{dataset}/{generator}")),
    log:
        EXPORT_WFDB.log,
    conda:
        EXPORT_WFDB.conda
    resources:
        **resources(EXPORT_WFDB),
    params:
        label_map=STUDY.config.preprocess.label_map,
        code=STUDY.code(EXPORT_WFDB.script),
    message:
        EXPORT_WFDB.message
    shell:
        command(
            EXPORT_WFDB,
            "--dataset {results}/samples/{wildcards.dataset}/{wildcards.generator}",
            "--label-map {params.label_map:q}",
            "--out {output.records:q}",
        )
