"""One class-conditional generator a dataset, trained on the dataset's training split.

in: results/data/{dataset}/
out: results/generators/{dataset}/{generator}/{model.safetensors,model.json,history.parquet}
"""


rule generate:
    input:
        signals="results/data/{dataset}/signals.npy",
        records="results/data/{dataset}/records.parquet",
        summary="results/data/{dataset}/summary.json",
    output:
        weights="results/generators/{dataset}/{generator}/model.safetensors",
        model="results/generators/{dataset}/{generator}/model.json",
        history="results/generators/{dataset}/{generator}/history.parquet",
        provenance="results/generators/{dataset}/{generator}/provenance.json",
    log:
        "results/logs/generate/{dataset}/{generator}.log",
    benchmark:
        "results/benchmarks/generate/{dataset}/{generator}.jsonl"
    wildcard_constraints:
        dataset=one_of(STUDY.trained),
    conda:
        "../envs/torch.yaml"
    threads: THREADS * PROCESSES
    resources:
        gpu=PROCESSES,
        processes=PROCESSES,
        mem_mb=growing(4000),
        runtime=1440,
    params:
        settings=lambda w: STUDY.training(w.dataset, w.generator),
        code=lambda w: STUDY.generator_code("generate", w.generator),
    shell:
        'python "${{ECGPIPE_SCRIPTS}}/generate.py" --data results/data/{wildcards.dataset} --settings {params.settings:q} '
        "--out results/generators/{wildcards.dataset}/{wildcards.generator} --state results/state "
        "--threads {threads} --processes {resources.processes} --gpu {resources.gpu} --provenance {output.provenance:q} --code {params.code} --log {log:q}"
