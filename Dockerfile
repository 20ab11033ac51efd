# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /build
# With traces for OpenTelemetry: --build-arg LOCK=requirements-tracing.lock
ARG LOCK=requirements.lock
COPY ${LOCK} ./
RUN python -m venv /opt/seatwise && /opt/seatwise/bin/pip install --no-cache-dir --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY migrations ./migrations
# What only builds does not run: the tools of the build stay behind.
RUN /opt/seatwise/bin/pip install --no-cache-dir --no-deps --no-build-isolation . && /opt/seatwise/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
RUN groupadd --gid 10001 seatwise && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/seatwise --shell /usr/sbin/nologin seatwise
COPY --from=build /opt/seatwise /opt/seatwise
ENV PATH=/opt/seatwise/bin:$PATH PYTHONUNBUFFERED=1 SEATWISE_DATA_DIR=/var/lib/seatwise/data SEATWISE_LOG_FORMAT=json
WORKDIR /var/lib/seatwise
# By number, so that a cluster which forbids root can see that it is none.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# The first start after an upgrade migrates the database, and listens after that.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["seatwise", "serve", "--host", "0.0.0.0", "--port", "8000"]
