"""The synthetic set of each generator, and of all together (`all`), in the form of a dataset.

in: results/generators/{dataset}/{generator}/
out: results/samples/{dataset}/{generator}/{signals.npy,records.parquet}; for the target `wfdb` also results/wfdb/{dataset}/{generator}/
"""


rule sample:
    input:
        weights="results/generators/{dataset}/{generator}/model.safetensors",
        model="results/generators/{dataset}/{generator}/model.json",
        records="results/data/{dataset}/records.parquet",
    output:
        signals="results/samples/{dataset}/{generator}/signals.npy",
        records="results/samples/{dataset}/{generator}/records.parquet",
        provenance="results/samples/{dataset}/{generator}/provenance.json",
    log:
        "results/logs/sample/{dataset}/{generator}.log",
    benchmark:
        "results/benchmarks/sample/{dataset}/{generator}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.trained),
        generator=one_of(STUDY.config.generators),
    conda:
        "../envs/torch.yaml"
    threads: THREADS * PROCESSES
    resources:
        gpu=PROCESSES,
        processes=PROCESSES,
        mem_mb=growing(4000),
        runtime=480,
    params:
        settings=lambda w: STUDY.sampling(w.dataset, w.generator),
        code=lambda w: STUDY.generator_code("sample", w.generator),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/sample.py" --model results/generators/{wildcards.dataset}/{wildcards.generator} '
        "--data results/data/{wildcards.dataset} --name {wildcards.generator} --settings {params.settings:q} "
        "--out results/samples/{wildcards.dataset}/{wildcards.generator} --state results/state "
        "--threads {threads} --processes {resources.processes} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


rule pool:
    input:
        lambda w: expand(
            "results/samples/{member}/{generator}/{file}",
            member=STUDY.members(w.dataset),
            generator=w.generator,
            file=["signals.npy", "records.parquet"],
        ),
    output:
        signals="results/samples/{dataset}/{generator}/signals.npy",
        records="results/samples/{dataset}/{generator}/records.parquet",
        provenance="results/samples/{dataset}/{generator}/provenance.json",
    log:
        "results/logs/pool/{dataset}/{generator}.log",
    benchmark:
        "results/benchmarks/pool/{dataset}/{generator}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.pooled),
        generator=one_of(STUDY.config.generators),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=60,
    params:
        members=lambda w: STUDY.members(w.dataset),
        folders=lambda w: expand(
            "results/samples/{member}/{generator}",
            member=STUDY.members(w.dataset),
            generator=w.generator,
        ),
        name=lambda w: w.generator,
        code=STUDY.code("pool"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/pool.py" --members {params.members} --folders {params.folders} '
        "--out results/samples/{wildcards.dataset}/{params.name} --provenance {output.provenance:q} --code {params.code} --log {log:q}"


use rule pool as pool_generators with:
    input:
        lambda w: expand(
            "results/samples/{dataset}/{generator}/{file}",
            dataset=w.dataset,
            generator=STUDY.config.generators,
            file=["signals.npy", "records.parquet"],
        ),
    output:
        signals="results/samples/{dataset}/all/signals.npy",
        records="results/samples/{dataset}/all/records.parquet",
        provenance="results/samples/{dataset}/all/provenance.json",
    log:
        "results/logs/pool/{dataset}/all.log",
    benchmark:
        "results/benchmarks/pool/{dataset}/all.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.datasets),
    params:
        members=STUDY.config.generators,
        folders=lambda w: expand(
            "results/samples/{dataset}/{generator}",
            dataset=w.dataset,
            generator=STUDY.config.generators,
        ),
        name="all",
        code=STUDY.code("pool"),


rule export_wfdb:
    input:
        signals="results/samples/{dataset}/{generator}/signals.npy",
        records="results/samples/{dataset}/{generator}/records.parquet",
    output:
        records=directory("results/wfdb/{dataset}/{generator}"),
        provenance="results/wfdb/{dataset}/{generator}.provenance.json",
    log:
        "results/logs/export_wfdb/{dataset}/{generator}.log",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=120,
    params:
        label_map=STUDY.config.preprocess.label_map,
        code=STUDY.code("export_wfdb"),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/export_wfdb.py" --dataset results/samples/{wildcards.dataset}/{wildcards.generator} '
        "--label-map {params.label_map:q} --out {output.records:q} --provenance {output.provenance:q} --code {params.code} --log {log:q}"
