# The study in a container. Records go in and results come out through folders of the host. .snakemake holds what
# results were made of: without it, a later run with another config would not notice that they are out of date.
#   docker build -t ecgpipe .
#   alias study='docker run --rm -v "$PWD/results:/study/results" -v "$PWD/.snakemake:/study/.snakemake"'
#   study ecgpipe                                                                  # the default study
#   study -v /data/physionet:/data:ro -e ECGPIPE_PHYSIONET=/data \
#     ecgpipe all --cores 8 --configfile configs/physionet.yaml
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /study
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ecgpipe ecgpipe
# --editable: Snakemake and the digests of code read the package in /study.
RUN pip install --no-cache-dir --constraint constraints.txt \
      --extra-index-url https://download.pytorch.org/whl/cpu --editable .
COPY . .
ENTRYPOINT ["snakemake"]
CMD ["all", "--cores", "all"]
