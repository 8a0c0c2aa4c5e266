# One image for the web server, the workers and the migrations.

FROM node:24-slim AS front-end
WORKDIR /layerplay
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim
# /data holds what belongs to the rows of the database: pictures, weights, maps.
RUN useradd --create-home layerplay && install --directory --owner layerplay /data
WORKDIR /layerplay
COPY . .
# Editable, because templates, static files and migrations lie beside the package.
RUN pip install --no-cache-dir --constraint constraints.txt --editable .
COPY --from=front-end /layerplay/node_modules node_modules
ENV LAYERPLAY_HOME=/data PYTHONUNBUFFERED=1
USER layerplay
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "app.web.main:app", "--host", "0.0.0.0", "--port", "8000", \
     "--proxy-headers", "--timeout-graceful-shutdown", "5"]
