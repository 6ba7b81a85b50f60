# The service as an image: docker build -t synaptoroute . (docs/deployment.md says how to run it)
#
# It listens on all addresses and so refuses to start without keys.
# A build that is the same to the byte of its base names a digest:
# --build-arg PYTHON_IMAGE=python:3.11-slim-trixie@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# What is needed changes seldom, so it comes first and stays in the cache of layers.
COPY deploy/requirements.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY synaptoroute_integrations synaptoroute_integrations
# --no-index: fails if requirements.txt lacks anything, in the place of fetching it without a hash.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-index "$(echo /dist/*.whl)[server,fit,postgres,redis]"

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="SynaptoRoute" \
      org.opencontainers.image.description="Semantic routing over HTTP, with the model inside" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0"
RUN python -m pip uninstall --yes --root-user-action ignore pip setuptools wheel \
    && groupadd --gid 10001 synaptoroute \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin synaptoroute \
    && install -d -o 10001 -g 10001 -m 0700 /data
# The service may read its program, not change it.
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    SYNAPTOROUTE_DB=/data/routes.sqlite \
    SYNAPTOROUTE_HOST=0.0.0.0 \
    SYNAPTOROUTE_PORT=8000 \
    SYNAPTOROUTE_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without the proxies that the environment may name: they lead away from this container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['SYNAPTOROUTE_PORT'] + '/health/ready', timeout=4)"]
ENTRYPOINT ["synaptoroute", "serve"]
