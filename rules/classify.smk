"""Classifiers on real, synthetic and mixed records, and by transfer; all seeds of a cell in one job.

in: results/data/{dataset}/, results/samples/{dataset}/{generator}/
out: results/classifiers/{dataset}/{real,real/from_{other},real/for_{other}}/{predictions,training}.parquet,
     results/classifiers/{dataset}/{generator}/{augmentation,transfer,with_{other}}/{predictions,training}.parquet
Real-only results lie where no generator's edit can reach them.
"""


rule classify_real:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        others=lambda w: [
            f"results/data/{other}/{file}"
            for other in STUDY.crossed(w.dataset)
            for file in ("signals.npy", "records.parquet")
        ],
    output:
        predictions="results/classifiers/{dataset}/real/predictions.parquet",
        training="results/classifiers/{dataset}/real/training.parquet",
        pretrained="results/classifiers/{dataset}/real/pretrained.safetensors",
        provenance="results/classifiers/{dataset}/real/provenance.json",
    log:
        "results/logs/classify/{dataset}/real.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/real.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.classification(w.dataset, "real"),
        others=lambda w: [f"results/data/{other}" for other in STUDY.crossed(w.dataset)],
        out=lambda w: f"results/classifiers/{w.dataset}/real",
        code=STUDY.code("classify"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/classify.py" real --data results/data/{wildcards.dataset} --settings {params.settings:q} '
        "--also-test {params.others} --out {params.out} --state results/state "
        "--threads {threads} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule classify_augmentation:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        synthetic_signals="results/samples/{dataset}/{generator}/signals.npy",
        synthetic_records="results/samples/{dataset}/{generator}/records.parquet",
        real=(
            rules.classify_real.output.pretrained
            if "TrRTeS" in STUDY.synthetic_settings
            else []
        ),
    output:
        predictions="results/classifiers/{dataset}/{generator}/augmentation/predictions.parquet",
        training="results/classifiers/{dataset}/{generator}/augmentation/training.parquet",
        provenance="results/classifiers/{dataset}/{generator}/augmentation/provenance.json",
        pretrained="results/classifiers/{dataset}/{generator}/augmentation/pretrained.safetensors",
    log:
        "results/logs/classify/{dataset}/{generator}/augmentation.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/{generator}/augmentation.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.classification(w.dataset, "augmentation"),
        code=STUDY.code("classify"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/classify.py" augmentation --data results/data/{wildcards.dataset} '
        "--samples results/samples/{wildcards.dataset}/{wildcards.generator} --settings {params.settings:q} --real-networks {input.real} "
        "--out results/classifiers/{wildcards.dataset}/{wildcards.generator}/augmentation --state results/state "
        "--threads {threads} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule classify_transfer:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        pretrained=rules.classify_augmentation.output.pretrained,
    output:
        predictions="results/classifiers/{dataset}/{generator}/transfer/predictions.parquet",
        training="results/classifiers/{dataset}/{generator}/transfer/training.parquet",
        provenance="results/classifiers/{dataset}/{generator}/transfer/provenance.json",
    log:
        "results/logs/classify/{dataset}/{generator}/transfer.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/{generator}/transfer.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.classification(w.dataset, "transfer"),
        code=STUDY.code("classify"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/classify.py" transfer --data results/data/{wildcards.dataset} '
        "--pretrained {input.pretrained:q} --settings {params.settings:q} "
        "--out results/classifiers/{wildcards.dataset}/{wildcards.generator}/transfer --state results/state "
        "--threads {threads} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule classify_cross:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        other_signals="results/data/{other}/signals.npy",
        other_records="results/data/{other}/records.parquet",
        synthetic_signals="results/samples/{other}/{generator}/signals.npy",
        synthetic_records="results/samples/{other}/{generator}/records.parquet",
    output:
        predictions="results/classifiers/{dataset}/{generator}/with_{other}/predictions.parquet",
        training="results/classifiers/{dataset}/{generator}/with_{other}/training.parquet",
        provenance="results/classifiers/{dataset}/{generator}/with_{other}/provenance.json",
    log:
        "results/logs/classify/{dataset}/{generator}/with_{other}.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/{generator}/with_{other}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.classification(w.dataset, "cross"),
        code=STUDY.code("classify"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/classify.py" augmentation --data results/data/{wildcards.dataset} '
        "--samples results/samples/{wildcards.other}/{wildcards.generator} --name {wildcards.generator}@{wildcards.other} "
        "--also-test results/data/{wildcards.other} --settings {params.settings:q} "
        "--out results/classifiers/{wildcards.dataset}/{wildcards.generator}/with_{wildcards.other} --state results/state "
        "--threads {threads} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


use rule classify_real as classify_real_for_another with:
    # Another dataset's classifier, to start from there. A yardstick only: the tables have this dataset's own networks.
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
    output:
        predictions="results/classifiers/{dataset}/real/for_{other}/predictions.parquet",
        training="results/classifiers/{dataset}/real/for_{other}/training.parquet",
        pretrained="results/classifiers/{dataset}/real/for_{other}/pretrained.safetensors",
        provenance="results/classifiers/{dataset}/real/for_{other}/provenance.json",
    log:
        "results/logs/classify/{dataset}/real/for_{other}.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/real/for_{other}.jsonl"
    params:
        settings=lambda w: STUDY.pretraining(w.other),
        others=[],
        out=lambda w: f"results/classifiers/{w.dataset}/real/for_{w.other}",
        code=STUDY.code("classify"),


rule classify_yardstick:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        other_signals="results/data/{other}/signals.npy",
        other_records="results/data/{other}/records.parquet",
        pretrained=lambda w: f"results/classifiers/{STUDY.pretrained_on(w.other, w.dataset)}/pretrained.safetensors",
    output:
        predictions="results/classifiers/{dataset}/real/from_{other}/predictions.parquet",
        training="results/classifiers/{dataset}/real/from_{other}/training.parquet",
        provenance="results/classifiers/{dataset}/real/from_{other}/provenance.json",
    log:
        "results/logs/classify/{dataset}/real/from_{other}.log",
    benchmark:
        "results/benchmarks/classify/{dataset}/real/from_{other}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.classification(w.dataset, "transfer"),
        code=STUDY.code("classify"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/classify.py" transfer --data results/data/{wildcards.dataset} '
        "--pretrained {input.pretrained:q} --origin results/data/{wildcards.other} --settings {params.settings:q} "
        "--out results/classifiers/{wildcards.dataset}/real/from_{wildcards.other} --state results/state "
        "--threads {threads} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"
