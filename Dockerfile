# The study in a container. Records go in and results come out through folders of the host:
#   docker build -t ecgpipe .
#   docker run --rm -v "$PWD/results:/study/results" ecgpipe                      # the default study
#   docker run --rm -v "$PWD/results:/study/results" -v /data/physionet:/data:ro -e ECGPIPE_PHYSIONET=/data \
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
