"""Addresses that are none, and passwords, which are in no message and no log."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from physionet_server import Fault, PhysioNetServer
from projects import QUICK, ptbxl, source, write_project

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download
from ecgpipe.config import ConfigError, validate
from ecgpipe.redaction import hide, redacted, without_passwords

# Addresses and secrets


@pytest.mark.parametrize("host", ["a" * 64 + ".org", "a..b", ".org", "a" * 300, "\u200b.org", "x\udc80"])
def test_what_cannot_be_a_host_is_told_with_the_key(tmp_path: Path, host: str) -> None:
    with pytest.raises(AcquireError, match="`base_url`"):
        Download(source(f"https://{host}/x"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


def test_a_redirect_to_what_cannot_be_a_host_is_told(tmp_path: Path) -> None:
    write_project(tmp_path, "ptb-xl", "1.0.3", ptbxl(2))
    fault = Fault("status", status=302, headers={"Location": f"http://{'a' * 64}.org/"})
    with PhysioNetServer(tmp_path, {"SHA256SUMS.txt": [fault] * 99}) as server, pytest.raises(AcquireError):
        Download(source(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


def test_the_home_of_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match=r"`base_url` '~nouser9': this machine has no such user"):
        Download(source("~nouser9"), "ptbxl", 100, tmp_path / "raw").fetch()


PASSWORDS = [
    "hqk'hqk'zqx",
    'hqk"hqk"zqx',
    "hqk@hqk@zqx",
    "hqk hqk zqx",
    "hqk$hqkäzqx",
    "hqk/hqk/zqx",
    "hqk#hqk?zqx",
    "hqk%27hqkzqx",
    "hqk\\hqkzqx",
]


def shows(text: str) -> bool:
    """Return whether a text holds a part of one of the passwords."""
    return "hqk" in text or "zqx" in text


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "form",
    [
        "http://user:{}@127.0.0.1:9",
        "ftp://user:{}@h",
        "https://user:{}@h/?token={}x",
        "s3://k:{}@b",
        "http://u:{}@h:x/",
    ],
)
def test_a_password_is_in_no_message_and_no_log(
    tmp_path: Path, password: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    base = form.format(password, password)
    with pytest.raises(AcquireError) as raised:
        Download(source(base, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert not shows(str(raised.value)), raised.value
    assert not shows(without_passwords(caplog.text)), caplog.text


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "form", ["http://user:{}@host/x", "https://user:{}@host/x?token={}", "https://host/x?token={}"]
)
def test_a_known_password_is_removed_however_it_is_written(password: str, form: str) -> None:
    address = form.format(password, password)
    hide(address)
    for text in (address, repr(address), json.dumps({"base_url": address}), f"at {address}.", f"--x {address!r} --y"):
        assert not shows(without_passwords(text)), text


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("key", ["base_ur", "slug", "version", "base_url.x"])
@pytest.mark.parametrize("form", ["http://user:{}@host/x", "http://user:{}@host/x?token={}", "http://host/x?token={}"])
def test_a_mistyped_key_prints_no_password(password: str, key: str, form: str) -> None:
    address = form.format(password, password)
    given: object = {"x": [address]} if key == "base_url.x" else address
    project = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3", key.split(".")[0]: given}
    raw = {
        "datasets": ["d"],
        "dataset_settings": {"d": {"format": "ptbxl", "source": project}},
        "generators": ["class_mean_pca"],
    }
    with pytest.raises(ConfigError) as raised:
        validate(raw)
    assert not shows(str(raised.value)), raised.value
    assert "http://" in str(raised.value)


def test_a_whole_config_is_redacted_by_its_fields() -> None:
    config = {"a": {"base_url": "http://u:p'\"@w@h/x?t=s", "b": ["s3://bucket", "plain @ text", 3, None]}}
    assert redacted(config) == {"a": {"base_url": "http://***@h/x?***", "b": ["s3://bucket", "plain @ text", 3, None]}}
