# syntax=docker/dockerfile:1
# TensorFlow Serving with models inside, each verified while the image is built. From the project's root:
#   docker build -f serving/docker/tensorflow-serving.Dockerfile --build-arg MODELS=runs/digits/<id>/serving -t models .
# MODELS holds <model>/<version>/. To mount models instead, use tensorflow/serving itself, as serving/compose does.
ARG TF_SERVING_VERSION=2.19.1
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS verified
ENV PIP_NO_CACHE_DIR=1 TF_CPP_MIN_LOG_LEVEL=3
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY tfkit tfkit
COPY plugins plugins
COPY serving serving
# hadolint ignore=DL3013
RUN pip install ".[tensorflow-cpu,client]"
ARG MODELS
COPY ${MODELS} /models
# A damaged, incomplete or changed version fails the build.
RUN set -e; for version in /models/*/*/; do tfkit export verify "$version"; done
# Every base_path must be there: TensorFlow Serving hangs on one that is not.
COPY serving/models.config serving/monitoring.config serving/batching.config /config/
RUN tfkit deploy status /config/models.config --check

FROM tensorflow/serving:${TF_SERVING_VERSION}
COPY --from=verified /models /models
COPY --from=verified /config /config
USER 10001
EXPOSE 8500 8501
# The image has no curl; bash opens the port by itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8501 && printf 'GET /monitoring/prometheus/metrics HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["tensorflow_model_server"]
# Labels need the flag at the first start; the default of 4 threads a CPU is exhausted by 32 clients.
CMD ["--port=8500", "--rest_api_port=8501", "--model_config_file=/config/models.config", \
     "--monitoring_config_file=/config/monitoring.config", "--allow_version_labels_for_unavailable_models=true", \
     "--enable_grpc_healthcheck_service=true", "--grpc_max_threads=64"]
