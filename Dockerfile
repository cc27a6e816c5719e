# Built from the lock, with hashes; the second stage has neither compiler nor package manager's cache.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY requirements-core.lock ./
RUN uv venv /app && uv pip install --python /app/bin/python --require-hashes -r requirements-core.lock
COPY . .
RUN uv build --wheel --no-build-isolation --python /app/bin/python -o /dist && uv pip install --python /app/bin/python --no-deps /dist/*.whl

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 snapseek \
    && mkdir -p /data /home/snapseek/.cache && chown snapseek /data /home/snapseek/.cache
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH SNAPSEEK_DATA=/data HF_HUB_OFFLINE=1
USER snapseek
WORKDIR /home/snapseek
EXPOSE 8000
ENTRYPOINT ["snapseek"]
CMD ["serve", "--host", "0.0.0.0"]
