"""How close synthetic ECGs come to real ones, whether they are plausible, and whether they are copies.

in: results/data/{dataset}/, results/samples/{dataset}/{generator}/,
    results/classifiers/{dataset}/real/pretrained.safetensors
out: results/closeness/{dataset}/{generator}/{closeness,privacy,copies,curves,points}.parquet
     results/closeness/{dataset}/{controls,curves,points}.parquet, in full studies privacy.parquet
     results/tables/{closeness,privacy,copies,curves,points}.parquet
"""

from ecgpipe.closeness.names import TABLES as CLOSENESS_TABLES

GENERATOR, CONTROLS, CLOSENESS = (
    JOBS[f"closeness_{name}"] for name in ("generator", "controls", "tables")
)


rule closeness_generator:
    """Compare one generator's synthetic set with the real records."""
    input:
        checksums=[DATA, SAMPLES, REAL.checksums],
        data=ancient(DATA_FILES),
        samples=ancient(SAMPLE_FILES),
        network=ancient(rules.classify_real.output.pretrained),
    output:
        **GENERATOR.outputs(tables=[f"{table}.parquet" for table in CLOSENESS_TABLES]),
    log:
        GENERATOR.log,
    benchmark:
        GENERATOR.benchmark
    conda:
        GENERATOR.conda
    threads: THREADS
    resources:
        **resources(GENERATOR),
    params:
        what="generator",
        flags=lambda w: [
            *("--samples", at(f"samples/{w.dataset}/{w.generator}")),
            *classifier_modules(w.dataset),
        ],
        settings=lambda w: STUDY.closeness(),
        out=lambda w: at(f"closeness/{w.dataset}/{w.generator}"),
        code=lambda w: STUDY.classifier_code(GENERATOR.script, w.dataset),
    message:
        GENERATOR.message
    shell:
        command(
            GENERATOR,
            "{params.what}",
            "--data {results}/data/{wildcards.dataset}",
            "{params.flags}",
            "--network {input.network:q}",
            "--settings {params.settings.file:q}",
            "--out {params.out}",
            "--threads {threads}",
        )


use rule closeness_generator as closeness_controls with:
    input:
        checksums=[DATA, REAL.checksums],
        data=ancient(DATA_FILES),
        network=ancient(rules.classify_real.output.pretrained),
    output:
        **CONTROLS.outputs(
            tables=[f"{table}.parquet" for table in STUDY.control_parts.values()]
        ),
    log:
        CONTROLS.log,
    benchmark:
        CONTROLS.benchmark
    params:
        what="controls",
        flags=lambda w: classifier_modules(w.dataset),
        settings=lambda w: STUDY.closeness(),
        out=lambda w: at(f"closeness/{w.dataset}"),
        code=lambda w: STUDY.classifier_code(CONTROLS.script, w.dataset),
    message:
        CONTROLS.message


rule closeness_tables:
    """Join the tables of all comparisons."""
    input:
        **{table: ancient(names) for table, names in STUDY.closeness_parts.items()},
        checksums=[
            *expand(CONTROLS.checksums, dataset=STUDY.config.datasets),
            *(
                GENERATOR.checksums.format(dataset=d, generator=g)
                for d, g in STUDY.cells
            ),
        ],
    output:
        **CLOSENESS.outputs(tables=[f"{table}.parquet" for table in CLOSENESS_TABLES]),
    log:
        CLOSENESS.log,
    benchmark:
        CLOSENESS.benchmark
    conda:
        CLOSENESS.conda
    resources:
        **resources(CLOSENESS),
    params:
        parts=lambda w, input: ByFile.words(
            word
            for table in CLOSENESS_TABLES
            for word in (f"--{table}", *input[table])
        ),
        code=STUDY.code(CLOSENESS.script),
    message:
        CLOSENESS.message
    shell:
        command(
            CLOSENESS,
            "tables",
            "{params.parts.file:q}",
            "--out {results}/tables",
        )
