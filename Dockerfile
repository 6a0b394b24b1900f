# Three images, of which `docker build --target` chooses one:
#   library  Python with litestar-queues and no app; what your own image begins with (docs/howto/kubernetes.md)
#   web      the example app docs/examples/photos behind a web server
#   worker   the same app, without a web server; what is built where no target is named
# None has a HEALTHCHECK: whoever runs the container knows whether it is a web server or a worker.
ARG PYTHON_IMAGE=python:3.13-slim

# Wheels are built here, with whatever that takes; the environments are made here too, and the images copy them.
FROM ${PYTHON_IMAGE} AS wheels
WORKDIR /source
COPY .ci/requirements.txt constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY litestar_queues litestar_queues
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --constraint constraints.txt --wheel-dir /wheels \
        ".[postgres,prometheus,uvloop]" pillow uvicorn \
    && python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-index --find-links /wheels "litestar-queues[postgres,prometheus,uvloop]"

FROM wheels AS wheels-worker
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-index --find-links /wheels pillow

FROM wheels-worker AS wheels-web
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-index --find-links /wheels uvicorn

# What all images have in common: a user by number, so that Kubernetes can see that it is not root, and an entry point
# that is process 1 itself. Nothing is written outside /tmp: the root file system can be read-only.
FROM ${PYTHON_IMAGE} AS common
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="litestar-queues" \
      org.opencontainers.image.description="A background task queue for Litestar, made to be operated" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["litestar-queues-worker"]

FROM common AS library
COPY --from=wheels /opt/venv /opt/venv

FROM common AS web
COPY --from=wheels-web /opt/venv /opt/venv
COPY docs/examples/photos/app.py docs/examples/photos/store.py docs/examples/photos/tasks.py ./
ENV LITESTAR_APP=app:app PHOTOS_DATA=/tmp/photos
EXPOSE 8000
ENTRYPOINT ["litestar"]
CMD ["run", "--host", "0.0.0.0", "--port", "8000"]

FROM common AS worker
COPY --from=wheels-worker /opt/venv /opt/venv
COPY docs/examples/photos/app.py docs/examples/photos/store.py docs/examples/photos/tasks.py ./
ENV LITESTAR_APP=app:app PHOTOS_DATA=/tmp/photos
