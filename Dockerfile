# cpu:   docker build --target cpu -t blurdm .
# cuda:  docker build --target cuda -t blurdm:cuda .

FROM python:3.12-slim-bookworm AS venv
WORKDIR /source
RUN python -m venv /opt/blurdm
ENV PATH=/opt/blurdm/bin:$PATH
COPY pyproject.toml constraints.txt ./

# Dependencies are installed apart from the package: a change of the sources does not install them again.
FROM venv AS dependencies
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    [print(*lines, sep='\\n', file=open(extra + '.txt', 'w')) for extra, lines in \
    {'base': p['dependencies'], **p['optional-dependencies']}.items()]" \
    && pip install --no-cache-dir -c constraints.txt -r base.txt \
    -r heic.txt -r raw.txt -r s3.txt -r gs.txt -r ray.txt -r serve.txt -r watch.txt

FROM dependencies AS dependencies-cpu
RUN pip install --no-cache-dir -c constraints.txt -r openvino.txt

FROM dependencies AS dependencies-cuda
RUN pip install --no-cache-dir -c constraints.txt -r cuda.txt

FROM venv AS package
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
COPY --from=dependencies-cuda /opt/blurdm /opt/blurdm
COPY --from=package /opt/blurdm /opt/blurdm

FROM run AS cpu
COPY --from=dependencies-cpu /opt/blurdm /opt/blurdm
COPY --from=package /opt/blurdm /opt/blurdm
