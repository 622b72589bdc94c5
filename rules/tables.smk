"""The study's numbers.

in: every predictions.parquet and training.parquet of the study, every dataset's records, the jobs' benchmarks
out: results/tables/*.parquet
"""

from ecgpipe.tables.names import TABLES

RESULT_TABLES = JOBS["result_tables"]


rule result_tables:
    """Turn all predictions of the study into its tables."""
    input:
        checksums=[
            *STUDY.classified(CHECKSUMS),
            *expand(DATA, dataset=STUDY.config.datasets),
            # These jobs are in the table of run times too.
            *rules.closeness_tables.input.checksums,
        ],
        predictions=ancient(STUDY.classified("predictions.parquet")),
        # These tell times, and are in no checksum file.
        training=STUDY.classified("training.parquet"),
        records=ancient(
            expand(
                at("data/{dataset}/{file}.parquet"),
                dataset=STUDY.config.datasets,
                file=["records", "excluded"],
            )
        ),
    output:
        **RESULT_TABLES.outputs(tables=[f"{table}.parquet" for table in TABLES]),
    log:
        RESULT_TABLES.log,
    benchmark:
        RESULT_TABLES.benchmark
    conda:
        RESULT_TABLES.conda
    threads: THREADS
    resources:
        **resources(RESULT_TABLES),
    params:
        settings=lambda w: STUDY.tables(),
        data=expand(at("data/{dataset}"), dataset=STUDY.config.datasets),
        benchmarks=[benchmark for benchmark, _ in STUDY.measured],
        provenances=[provenance for _, provenance in STUDY.measured],
        files=lambda w, input: ByFile.words(
            [
                *("--predictions", *input.predictions),
                *("--training", *input.training),
                *("--benchmarks", *(benchmark for benchmark, _ in STUDY.measured)),
                *("--provenances", *(provenance for _, provenance in STUDY.measured)),
            ]
        ),
        code=STUDY.code(RESULT_TABLES.script),
    message:
        RESULT_TABLES.message
    shell:
        command(
            RESULT_TABLES,
            "{params.files.file:q}",
            "--data {params.data:q}",
            "--settings {params.settings.file:q}",
            "--out {results}/tables",
        )
