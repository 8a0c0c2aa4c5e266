"""A server that speaks S3, for files in a bucket."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.exceptions import EndpointConnectionError

from app.infra.embedded import free_port

BUCKET = "layerplay"
REGION = "eu-central-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
_START_S = 60.0


@contextmanager
def bucket_server() -> Iterator[dict[str, str]]:
    """The environment in which its bucket, an empty one, is found."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _make_bucket(url)
            yield {**KEYS, "AWS_ENDPOINT_URL_S3": url}
        finally:
            server.kill()


def _make_bucket(url: str) -> None:
    """As soon as the server answers."""
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    until = time.monotonic() + _START_S
    while True:
        try:
            client.create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
        except EndpointConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
