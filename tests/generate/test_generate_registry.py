"""From names to classes: what is found, what is told, and that nothing heavy is imported on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ecgpipe.generate.diffwave import DiffWave
from ecgpipe.generate.protocol import Generator
from ecgpipe.generate.registry import GeneratorError, check_settings, class_path, load_class, module_of

USERS = """
import numpy as np
from pydantic import BaseModel


class Silence:
    class Settings(BaseModel):
        volume: float = 0.0

    class SampleSettings(BaseModel):
        pass

    def __init__(self, settings, spec):
        self.spec = spec

    def fit(self, train, validation, *, seed, state_dir, device, progress): ...

    def sample(self, labels, *, settings, seeds, device):
        return np.zeros((len(labels), 12, self.spec.length), np.float32)

    def save(self, folder): ...

    @classmethod
    def load(cls, folder): ...


class Half:
    Settings = Silence.Settings

    def fit(self): ...


number = 3
"""


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_silence.py").write_text(USERS)
    (tmp_path / "users_broken.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("users_silence", "users_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "users_silence"


def test_names_are_modules_of_this_package() -> None:
    assert module_of("diffwave", None) == "ecgpipe.generate.diffwave"
    assert class_path("diffwave", None) == "ecgpipe.generate.diffwave:GENERATOR"
    assert load_class("diffwave", None) is DiffWave
    assert issubclass(DiffWave, object)
    assert isinstance(DiffWave.__new__(DiffWave), Generator)


def test_a_users_class_is_found_by_its_dotted_path(users_module: str) -> None:
    assert module_of("mine", "users_silence:Silence") == "users_silence"
    found = load_class("mine", "users_silence:Silence")
    assert found.__name__ == "Silence"
    assert isinstance(found.__new__(found), Generator)


@pytest.mark.parametrize(
    ("name", "dotted", "message"),
    [
        ("wavegan", None, r"generator 'wavegan': there is no module ecgpipe\.generate\.wavegan; set `class"),
        ("mine", "nowhere.at.all:Thing", r"generator 'mine': there is no module nowhere\.at\.all; .*PYTHONPATH"),
        ("mine", "users_silence:Loud", "module users_silence has no Loud"),
        ("mine", "users_silence:number", "users_silence:number is no class"),
        ("mine", "users_silence:Half", r"lacks sample, save, load, SampleSettings \(a pydantic model\)"),
        ("mine", "users_broken:Any", "needs a_package_that_is_not_there, which is not installed"),
    ],
)
def test_what_cannot_be_used_is_told(users_module: str, name: str, dotted: str | None, message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        load_class(name, dotted)


def test_settings_are_checked_with_key_value_and_what_is_allowed() -> None:
    check_settings("diffwave", None, {"preset": "small", "channels": 16}, {"sampler": "ddim", "evaluations": 5})
    with pytest.raises(GeneratorError) as told:
        check_settings("diffwave", None, {"channels": 0, "chanels": 3, "prediction": "score"}, {})
    assert "`generator_settings.diffwave.train.channels`: 0 is not allowed" in str(told.value)
    assert "`generator_settings.diffwave.train.chanels`: no such key (value 3); there are " in str(told.value)
    assert "'noise', 'v' or 'x0'" in str(told.value)
    with pytest.raises(
        GeneratorError, match=r"`generator_settings\.diffwave\.sample\.sampler`: 'euler' is not allowed"
    ):
        check_settings("diffwave", None, {}, {"sampler": "euler"})


def test_looking_up_a_module_imports_no_torch() -> None:
    code = (
        "import sys; from ecgpipe.generate.registry import module_of; module_of('diffwave', None);"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_types_are_not_converted_but_a_list_may_stand_for_a_tuple() -> None:
    check_settings("time_diffusion", None, {"preset": "small", "widths": [32, 32]}, {})
    with pytest.raises(GeneratorError, match="'6' is not allowed"):
        check_settings("diffwave", None, {"steps": "6"}, {})


@pytest.mark.parametrize(
    ("train", "sample", "words"),
    [
        ({"class_dropout": 0.0}, {"guidance": 2.0}, "`guidance` 2 needs a training with `class_dropout` above 0"),
        ({"schedule": "cosine", "diffusion_steps": 50}, {"evaluations": 60}, "choose at most 50"),
    ],
)
def test_sampling_that_the_training_does_not_allow_is_told_before_training(
    train: dict[str, object], sample: dict[str, object], words: str
) -> None:
    for name in ("diffwave", "time_vqvae"):
        check_settings(name, None, {"preset": "small"}, {"guidance": 2.0})
    with pytest.raises(GeneratorError, match="needs a training with `class_dropout` above 0"):
        check_settings("time_vqvae", None, {"class_dropout": 0.0}, {"guidance": 2.0})
    with pytest.raises(GeneratorError, match=words):
        check_settings("diffwave", None, {"preset": "small", **train}, sample)
