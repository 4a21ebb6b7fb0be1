# Two images: `stream` runs every service that moves messages and the set-up Jobs; `data` also the exporter, the ingester and
# the commands that read a dataset.
#
#     docker build --target stream --tag reasonmed-stream:0.1.0 .
#     docker build --target data   --tag reasonmed-data:0.1.0 .
#
# For other platforms: docker buildx build --platform linux/amd64,linux/arm64 … Packages are those of the locks, by hash.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# faust-streaming and a few others have no wheel for arm64: they are compiled here, once.
RUN if [ "$(uname -m)" != x86_64 ]; then \
        apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi
RUN python -m pip install --no-cache-dir uv==0.13.9
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
WORKDIR /build
COPY overrides.txt pyproject.toml README.md LICENSE ./
COPY deploy/requirements-stream.lock deploy/requirements-data.lock deploy/
COPY proto proto
COPY services services
RUN uv build --wheel --out-dir dist .

FROM build AS stream-build
RUN uv venv /opt/reasonmed \
    && uv pip sync --python /opt/reasonmed/bin/python --require-hashes deploy/requirements-stream.lock \
    && uv pip install --python /opt/reasonmed/bin/python --no-deps dist/*.whl \
    && /opt/reasonmed/bin/python -c "import faust._cython.streams"

FROM build AS data-build
RUN uv venv /opt/reasonmed \
    && uv pip sync --python /opt/reasonmed/bin/python --require-hashes deploy/requirements-data.lock \
    && uv pip install --python /opt/reasonmed/bin/python --no-deps dist/*.whl

FROM ${BASE} AS stream
COPY --from=stream-build /opt/reasonmed /opt/reasonmed
ENV PATH=/opt/reasonmed/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
USER 65534:65534
CMD ["reasonmed", "--help"]

FROM ${BASE} AS data
RUN install --directory --owner=65534 --group=65534 /dataset
COPY --from=data-build /opt/reasonmed /opt/reasonmed
ENV PATH=/opt/reasonmed/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
USER 65534:65534
CMD ["reasonmed", "--help"]
