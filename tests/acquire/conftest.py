"""What all tests of this stage need."""

from __future__ import annotations

import pytest

from ecgpipe.acquire import sources

S3_SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the tests and their server, no source but the tests' own."""
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        sources.ENVIRONMENT_VARIABLE,
        *S3_SETTINGS,
    ):
        monkeypatch.delenv(name, raising=False)
