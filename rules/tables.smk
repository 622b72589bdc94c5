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
            *STUDY.classified("SHA256SUMS"),
            *expand(DATA, dataset=STUDY.config.datasets),
            # These jobs are in the table of run times too.
            *rules.closeness_tables.input.checksums,
        ],
        predictions=ancient(STUDY.classified("predictions.parquet")),
        training=ancient(STUDY.classified("training.parquet")),
        records=ancient(
            expand(
                "results/data/{dataset}/{file}.parquet",
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
        settings=STUDY.tables(),
        data=expand("results/data/{dataset}", dataset=STUDY.config.datasets),
        benchmarks=[benchmark for benchmark, _ in STUDY.measured],
        provenances=[provenance for _, provenance in STUDY.measured],
        code=STUDY.code(RESULT_TABLES.script),
    shell:
        command(
            RESULT_TABLES,
            "--predictions {input.predictions:q}",
            "--training {input.training:q}",
            "--data {params.data:q}",
            "--benchmarks {params.benchmarks:q}",
            "--provenances {params.provenances:q}",
            "--settings {params.settings:q}",
            "--out results/tables",
        )
