# syntax=docker/dockerfile:1
# The embedded server, and the gateway, without root. From the project's root:
#   docker build -f serving/docker/embedded.Dockerfile -t tfkit .
#   docker run -p 8500:8500 -p 8501:8501 -v "$PWD/runs/digits/<id>/serving:/models:ro" tfkit
#   docker run -p 8080:8080 -v …:/models:ro tfkit gateway --models /models --server http://server:8501 --host 0.0.0.0
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS built
ENV PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY tfkit tfkit
COPY plugins plugins
COPY serving serving
RUN python -m venv /opt/tfkit && /opt/tfkit/bin/pip install ".[serving,tensorflow-cpu]"

FROM python:${PYTHON_VERSION}-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tfkit
COPY --from=built /opt/tfkit /opt/tfkit
ENV PATH=/opt/tfkit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3
USER 10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/healthz', timeout=2)"]
ENTRYPOINT ["tfkit"]
CMD ["serve", "/models"]
