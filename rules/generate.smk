"""One class-conditional generator a dataset, trained on the dataset's training split.

in: results/data/{dataset}/
out: results/generators/{dataset}/{generator}/{model.safetensors,model.json,history.parquet}
"""

GENERATE = JOBS["generate"]


rule generate:
    """Train one generator on one dataset."""
    input:
        checksums=DATA,
        data=ancient(DATA_FILES),
    output:
        **GENERATE.outputs(
            weights="model.safetensors",
            model="model.json",
            history="history.parquet",
        ),
    log:
        GENERATE.log,
    benchmark:
        GENERATE.benchmark
    wildcard_constraints:
        dataset=one_of(STUDY.trained),
    conda:
        GENERATE.conda
    threads: THREADS * PROCESSES
    resources:
        **resources(GENERATE, gpu=PROCESSES, processes=PROCESSES),
    params:
        settings=lambda w: STUDY.training(w.dataset, w.generator),
        code=lambda w: STUDY.generator_code(GENERATE.script, w.generator),
    message:
        GENERATE.message
    shell:
        command(
            GENERATE,
            "--data {results}/data/{wildcards.dataset}",
            "--settings {params.settings.file:q}",
            "--out {results}/generators/{wildcards.dataset}/{wildcards.generator}",
            "--processes {resources.processes}",
        )
