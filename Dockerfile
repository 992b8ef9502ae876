# cpu:   docker build --target cpu -t blurdm .
# cuda:  docker build --target cuda -t blurdm:cuda .

# Dependencies come first: a change of the sources does not install them again.
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/blurdm
ENV PATH=/opt/blurdm/bin:$PATH
COPY pyproject.toml constraints.txt ./

FROM build AS build-cpu
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*p['dependencies'], *(each for extra in ('openvino', 'serve', 'watch') \
    for each in p['optional-dependencies'][extra]), sep='\\n')" > cpu.txt \
    && pip install --no-cache-dir -c constraints.txt -r cpu.txt
COPY README.md LICENSE ./
COPY blurdm_cli blurdm_cli
COPY models models
COPY examples examples
RUN pip install --no-cache-dir --no-deps .

FROM build AS build-cuda
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*p['dependencies'], *(each for extra in ('cuda', 'serve', 'watch') \
    for each in p['optional-dependencies'][extra]), sep='\\n')" > cuda.txt \
    && pip install --no-cache-dir -c constraints.txt -r cuda.txt
COPY README.md LICENSE ./
COPY blurdm_cli blurdm_cli
COPY models models
COPY examples examples
RUN pip install --no-cache-dir --no-deps .

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
