# cpu:   docker build --target cpu -t blurdm .
# cuda:  docker build --target cuda -t blurdm:cuda .

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY blurdm_cli blurdm_cli
COPY models models
COPY examples examples
RUN python -m venv /opt/blurdm
ENV PATH=/opt/blurdm/bin:$PATH

FROM build AS build-cpu
RUN pip install --no-cache-dir -c constraints.txt ".[openvino]"

FROM build AS build-cuda
RUN pip install --no-cache-dir -c constraints.txt ".[cuda]"

FROM python:3.12-slim-bookworm AS run
RUN useradd --create-home --uid 1000 blurdm
ENV PATH=/opt/blurdm/bin:$PATH
WORKDIR /work
USER 1000
HEALTHCHECK --interval=5m --timeout=60s CMD ["blurdm", "doctor"]
ENTRYPOINT ["blurdm"]
CMD ["--help"]

FROM run AS cuda
COPY --from=build-cuda /opt/blurdm /opt/blurdm

FROM run AS cpu
COPY --from=build-cpu /opt/blurdm /opt/blurdm
