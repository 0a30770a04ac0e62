# docker build .                      serve: the server on CPUs
# docker build --target gpu .         the server on an NVIDIA GPU, with CUDA from pip: 3 GB
# docker build --target training .    python -m training, with TensorFlow

FROM python:3.13-slim AS base
# Made here, for the user to own: a new volume takes the owner of the folder that it covers.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin attention \
    && install -d -o attention /var/lib/attention-lstm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /app


# Packages, a lock for each image. Only wheels, so that no stage needs a compiler.
FROM base AS packages
RUN python -m venv --without-pip /opt/venv
ENV PIP_ONLY_BINARY=:all: \
    PIP_PYTHON=/opt/venv/bin/python

FROM packages AS serve-packages
COPY requirements/serve.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes -r requirements/serve.txt

FROM packages AS gpu-packages
COPY requirements/gpu.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes -r requirements/gpu.txt

FROM packages AS training-packages
COPY requirements/dev.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip pip install --require-hashes -r requirements/dev.txt


# What the two servers share: everything but their packages.
FROM base AS server
COPY models models
COPY service service
# Settings are environment variables: ATTENTION_ and an option that --help lists.
ENV ATTENTION_HOST=0.0.0.0 \
    ATTENTION_PORT=8000 \
    ATTENTION_STORE=sqlite:/var/lib/attention-lstm/explanations.sqlite3 \
    ATTENTION_PINS=/var/lib/attention-lstm/pins.json
EXPOSE 8000
# Declared, so that `docker run --read-only` has somewhere to write.
VOLUME /var/lib/attention-lstm
USER 10001
# The empty ProxyHandler: a proxy in the environment must not be asked for our own address.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s CMD ["python", "-c", "\
from os import environ; from urllib.request import ProxyHandler, build_opener; \
build_opener(ProxyHandler({})).open('http://127.0.0.1:' + environ['ATTENTION_PORT'] + '/readyz', timeout=4)"]
# Exec form: SIGTERM reaches Python, which finishes the requests it has and ends.
ENTRYPOINT ["python", "-m", "service"]


# --link: the packages' layer, by far the largest, stays as it is when the code below it changes.
FROM server AS gpu
COPY --link --from=gpu-packages /opt/venv /opt/venv
ENV ATTENTION_PROVIDER=cuda \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility


# To keep what it writes, mount models/ and runs/ (made before, or the engine makes them root's) and run as their owner:
# docker run --rm --user $(id -u) -v ./models:/app/models -v ./runs:/app/runs IMAGE examples
FROM base AS training
COPY --link --from=training-packages /opt/venv /opt/venv
COPY service service
COPY training training
RUN install -d -o attention models runs
USER 10001
ENTRYPOINT ["python", "-m", "training"]


# Last, and so the image of a plain `docker build .`
FROM server AS serve
COPY --link --from=serve-packages /opt/venv /opt/venv
