"""Classifiers on real, synthetic and mixed records, and by transfer; all seeds of a cell in one job.

in: results/data/{dataset}/, results/samples/{dataset}/{generator}/
out: results/classifiers/{dataset}/real/{.,baselines,from_{other},for_{other}}/{predictions,training}.parquet,
     results/classifiers/{dataset}/{generator}/{augmentation,transfer,with_{other}}/{predictions,training}.parquet
Real-only results lie where no generator's edit can reach them.
"""

REAL, BASELINES, REAL_FOR_ANOTHER, FROM_REAL, AUGMENTATION, TRANSFER, CROSS = (
    JOBS[f"classify_{name}"]
    for name in (
        "real",
        "baselines",
        "real_for_another",
        "from_real",
        "augmentation",
        "transfer",
        "cross",
    )
)
TABLES_OF_CELL = {
    "predictions": "predictions.parquet",
    "training": "training.parquet",
}
NETWORKS = {**TABLES_OF_CELL, "pretrained": "pretrained.safetensors"}


rule classify_real:
    """Train on real records alone."""
    input:
        checksums=lambda w: expand(DATA, dataset=[w.dataset, *STUDY.crossed(w.dataset)]),
        data=lambda w: ancient(
            expand(DATA_FILES, dataset=[w.dataset, *STUDY.crossed(w.dataset)])
        ),
    output:
        **REAL.outputs(**NETWORKS),
    log:
        REAL.log,
    benchmark:
        REAL.benchmark
    conda:
        REAL.conda
    threads: THREADS
    resources:
        **resources(REAL, gpu=1, stacked=STUDY.config.compute.stacked or 0),
    params:
        experiment="real",
        flags=lambda w: [
            "--also-test",
            *(at(f"data/{other}") for other in STUDY.crossed(w.dataset)),
        ],
        settings=lambda w: STUDY.classification(w.dataset, "real"),
        out=lambda w: at(f"classifiers/{w.dataset}/real"),
        code=lambda w: STUDY.classifier_code(REAL.script, w.dataset),
    message:
        REAL.message
    shell:
        command(
            REAL,
            "{params.experiment}",
            "--data {results}/data/{wildcards.dataset}",
            "{params.flags}",
            "--settings {params.settings.file:q}",
            "--out {params.out}",
            "--stacked {resources.stacked}",
        )


use rule classify_real as classify_baselines with:
    input:
        checksums=DATA,
        data=ancient(DATA_FILES),
    output:
        **BASELINES.outputs(**TABLES_OF_CELL),
    log:
        BASELINES.log,
    benchmark:
        BASELINES.benchmark
    params:
        experiment="baselines",
        flags=[],
        settings=lambda w: STUDY.classification(w.dataset, "baselines"),
        out=lambda w: at(f"classifiers/{w.dataset}/real/baselines"),
        code=lambda w: STUDY.classifier_code(BASELINES.script, w.dataset),
    message:
        BASELINES.message


use rule classify_real as classify_real_for_another with:
    # Another dataset's classifier, to start from there. The tables have this dataset's own networks.
    input:
        checksums=DATA,
        data=ancient(DATA_FILES),
    output:
        **REAL_FOR_ANOTHER.outputs(**NETWORKS),
    log:
        REAL_FOR_ANOTHER.log,
    benchmark:
        REAL_FOR_ANOTHER.benchmark
    params:
        experiment="real",
        flags=[],
        settings=lambda w: STUDY.pretraining(w.other),
        out=lambda w: at(f"classifiers/{w.dataset}/real/for_{w.other}"),
        code=lambda w: STUDY.classifier_code(REAL_FOR_ANOTHER.script, w.other),
    message:
        REAL_FOR_ANOTHER.message


use rule classify_real as classify_augmentation with:
    input:
        checksums=lambda w: [
            *expand(DATA, dataset=w.dataset),
            *repetitions(w, SAMPLES),
            *(
                expand(REAL.checksums, dataset=w.dataset)
                if REAL_ON_SYNTHETIC in STUDY.synthetic_settings
                else []
            ),
        ],
        data=ancient(DATA_FILES),
        samples=lambda w: ancient(repetitions(w, SAMPLE_FILES)),
        real=ancient(
            [rules.classify_real.output.pretrained]
            if REAL_ON_SYNTHETIC in STUDY.synthetic_settings
            else []
        ),
    output:
        **AUGMENTATION.outputs(**NETWORKS),
    log:
        AUGMENTATION.log,
    benchmark:
        AUGMENTATION.benchmark
    params:
        experiment="augmentation",
        flags=lambda w, input: [
            "--samples",
            *repetitions(w, at("samples/{dataset}/{generator}")),
            "--real-networks",
            *input.real,
        ],
        settings=lambda w: STUDY.classification(w.dataset, "augmentation"),
        out=lambda w: at(f"classifiers/{w.dataset}/{w.generator}/augmentation"),
        code=lambda w: STUDY.classifier_code(AUGMENTATION.script, w.dataset),
    message:
        AUGMENTATION.message


use rule classify_real as classify_transfer with:
    input:
        checksums=[DATA, AUGMENTATION.checksums],
        data=ancient(DATA_FILES),
        pretrained=ancient(rules.classify_augmentation.output.pretrained),
    output:
        **TRANSFER.outputs(**TABLES_OF_CELL),
    log:
        TRANSFER.log,
    benchmark:
        TRANSFER.benchmark
    params:
        experiment="transfer",
        flags=lambda w, input: ["--pretrained", input.pretrained],
        settings=lambda w: STUDY.classification(w.dataset, "transfer"),
        out=lambda w: at(f"classifiers/{w.dataset}/{w.generator}/transfer"),
        code=lambda w: STUDY.classifier_code(TRANSFER.script, w.dataset),
    message:
        TRANSFER.message


use rule classify_real as classify_cross with:
    input:
        checksums=lambda w: [
            *expand(DATA, dataset=[w.dataset, w.other]),
            *repetitions(w, for_other(SAMPLES)),
        ],
        data=ancient(DATA_FILES),
        other=ancient(for_other(DATA_FILES)),
        samples=lambda w: ancient(repetitions(w, for_other(SAMPLE_FILES))),
    output:
        **CROSS.outputs(**TABLES_OF_CELL),
    log:
        CROSS.log,
    benchmark:
        CROSS.benchmark
    params:
        experiment="augmentation",
        flags=lambda w: [
            "--samples",
            *repetitions(w, at("samples/{other}/{generator}")),
            *("--name", f"{w.generator}@{w.other}"),
            *("--also-test", at(f"data/{w.other}")),
        ],
        settings=lambda w: STUDY.classification(w.dataset, "cross"),
        out=lambda w: at(f"classifiers/{w.dataset}/{w.generator}/with_{w.other}"),
        code=lambda w: STUDY.classifier_code(CROSS.script, w.dataset),
    message:
        CROSS.message


use rule classify_real as classify_from_real with:
    input:
        checksums=lambda w: [
            *expand(DATA, dataset=[w.dataset, w.other]),
            f"{STUDY.pretrained_on(w.other, w.dataset)}/{CHECKSUMS}",
        ],
        data=ancient(DATA_FILES),
        other=ancient(for_other(DATA_FILES)),
        pretrained=lambda w: ancient(
            f"{STUDY.pretrained_on(w.other, w.dataset)}/pretrained.safetensors"
        ),
    output:
        **FROM_REAL.outputs(**TABLES_OF_CELL),
    log:
        FROM_REAL.log,
    benchmark:
        FROM_REAL.benchmark
    params:
        experiment="transfer",
        flags=lambda w, input: [
            *("--pretrained", input.pretrained),
            *("--origin", at(f"data/{w.other}")),
        ],
        settings=lambda w: STUDY.classification(w.dataset, "transfer"),
        out=lambda w: at(f"classifiers/{w.dataset}/real/from_{w.other}"),
        code=lambda w: STUDY.classifier_code(FROM_REAL.script, w.dataset),
    message:
        FROM_REAL.message
