# Two images: `layerplay` for the web server, the workers, the clock and the migrations; `proxy`.

FROM node:24-slim AS front-end
WORKDIR /layerplay
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim AS packages
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /layerplay
# The dependencies alone, so that a change of our own code does not install them anew.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb')); \
print(*project['build-system']['requires'], *project['project']['dependencies'], \
*project['project']['optional-dependencies']['s3'], sep='\n')" \
        > requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt

FROM caddy:2.11-alpine AS proxy
# Volumes take their owner from here, so the proxy need not be root to keep its certificates.
RUN adduser -D -u 1000 proxy && chown -R proxy /data /config
COPY Caddyfile /etc/caddy/Caddyfile
USER proxy

FROM python:3.11-slim AS layerplay
# /data holds what belongs to the rows of the database: pictures, weights, maps, exports.
RUN useradd --create-home layerplay && install --directory --owner layerplay /data
COPY --from=packages /venv /venv
ENV PATH=/venv/bin:$PATH LAYERPLAY_HOME=/data TORCH_HOME=/data/torch PYTHONUNBUFFERED=1
WORKDIR /layerplay
COPY . .
# Editable, because templates, static files and migrations lie beside the package. The code stays
# root's: who breaks into the web server cannot change it.
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .
COPY --from=front-end /layerplay/node_modules node_modules
USER layerplay
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "app.web.main:app", "--host", "0.0.0.0", "--port", "8000", \
     "--proxy-headers", "--timeout-graceful-shutdown", "5"]
