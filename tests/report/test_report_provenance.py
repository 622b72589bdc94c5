"""What the report says about code, versions and files."""

import subprocess

import yaml

from ecgpipe.config import validate
from ecgpipe.report import provenance


def git(folder, *arguments):
    identity = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_git_state_tells_commit_and_changes(tmp_path):
    assert provenance.git_state(tmp_path / "nowhere") is None
    assert provenance.git_state("/") is None
    git(tmp_path, "init", "-q")
    assert provenance.git_state(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "one")
    state = provenance.git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["changed"] == 0
    (tmp_path / "a").write_text("2")
    (tmp_path / "b").write_text("new")
    assert provenance.git_state(tmp_path) == {**state, "changed": 2}


def test_versions_and_checksums(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    names = dict(provenance.versions())
    assert names["numpy"].count(".") == 2
    assert names["no-such-package"] == "not installed as a package"
    (tmp_path / "a").write_bytes(b"")
    files = [("a", tmp_path / "a"), ("b", tmp_path / "b")]
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert provenance.checksums(files) == [("a", empty)]


def test_config_text_is_the_whole_configuration(results):
    assert validate(yaml.safe_load(provenance.config_text(results.config))) == results.config
