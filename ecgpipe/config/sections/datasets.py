"""`dataset_settings`: what each dataset is, and where its records come from."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ecgpipe.config.sections.base import Name, Section, Seed

Rhythm = Literal["SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC"]
_KIND = "Where the records come from: `physionet`, a plain `folder`, or `simulated`."


class RecordedSource(Section):
    """Records that were recorded, all or some of them."""

    limit: int | None = Field(None, ge=1, description="Take only this number of records, the first ones; null: all.")
    records: list[str] | None = Field(
        None,
        min_length=1,
        description="Take only these records, by name (PTB-XL: `00001`; ecg-arrhythmia: `JS00001`); null: all.",
    )

    @field_validator("records", mode="before")
    @classmethod
    def _names_are_text(cls, names: Any) -> Any:
        numbers = [name for name in names if isinstance(name, int | float)] if isinstance(names, list) else []
        if numbers:
            raise ValueError(
                f"{numbers[0]!r} is a number, and names of records are text: write them in quotes "
                "(`records: ['00010']`), for YAML reads a plain 00010 as the number 8, and 00001 as 1"
            )
        return names


class PhysioNetSource(RecordedSource):
    """Files of a PhysioNet project, listed and verified by its SHA256SUMS.txt."""

    kind: Literal["physionet"] = Field(description=_KIND)
    slug: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="PhysioNet's name of the project, as in its address (ptb-xl, ecg-arrhythmia).",
    )
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*$", description="Published version of the project (1.0.3).")
    base_url: str | None = Field(
        None,
        description="Address or folder that holds `files/<slug>/<version>/`, or `s3://bucket` that holds "
        "`<slug>/<version>/`; null takes the environment variable ECGPIPE_PHYSIONET, and without it "
        "https://physionet.org.",
    )
    transport: Literal["files", "zip"] = Field(
        "files",
        description="`files` fetches each file that is needed; `zip` the project's one archive "
        "(`<base_url>/content/<slug>/get-zip/<version>/`, `<folder>/<slug>-<version>.zip`, or a `base_url` that ends "
        "in .zip) and unpacks what is needed.",
    )
    connections: int = Field(4, ge=1, le=32, description="Files fetched at the same time.")


class FolderSource(RecordedSource):
    """Records in a local folder in the layout of `format`, with or without a SHA256SUMS.txt; they are copied."""

    kind: Literal["folder"] = Field(description=_KIND)
    path: str = Field(
        min_length=1, description="The folder. The manifest is written from its files when they are copied."
    )

    @property
    def connections(self) -> int:
        """Files copied at the same time."""
        return 4


class SimulatedSource(Section):
    """A PhysioNet-shaped folder written by the dipole heart model: it holds no real patient."""

    kind: Literal["simulated"] = Field(description=_KIND)
    records: int = Field(ge=20, description="Number of recordings to simulate.")
    seed: Seed = Field(description="Seed of the simulation.")
    hospital: Literal["a", "b"] = Field(
        "a",
        description="Character of the hospital: `a` like PTB-XL (mostly sinus rhythm, quiet signals), `b` like "
        "Chapman-Shaoxing (many arrhythmias, faster hearts, more noise).",
    )
    class_mix: dict[Rhythm, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        description="Relative frequency of each rhythm (SBRAD, SR, AFIB, STACH, AFLT, SARRH, SVTAC); null: the "
        "hospital's own mix.",
    )

    @model_validator(mode="after")
    def _something_to_simulate(self) -> SimulatedSource:
        if self.class_mix is not None and not any(self.class_mix.values()):
            raise ValueError(f"`class_mix` {self.class_mix!r} has no rhythm of a frequency above 0")
        return self


Source = Annotated[PhysioNetSource | FolderSource | SimulatedSource, Field(discriminator="kind")]


Fold = Annotated[int, Field(ge=1, le=10)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Folds(Section):
    """Which of PTB-XL's ten folds make each split."""

    train: list[Fold] = Field(min_length=1, description="Training folds.")
    validation: list[Fold] = Field(min_length=1, description="Validation folds, which choose the weights.")
    test: list[Fold] = Field(min_length=1, description="Test folds.")

    @model_validator(mode="after")
    def _each_fold_once(self) -> Folds:
        if sorted([*self.train, *self.validation, *self.test]) != list(range(1, 11)):
            raise ValueError("each of the folds 1 to 10 must stand in one of train, validation and test, once")
        return self


class Shares(Section):
    """Shares of the patients of each class that make each split."""

    train: Share = Field(description="Training share.")
    validation: Share = Field(description="Validation share, which chooses the weights.")
    test: Share = Field(description="Test share.")

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        if not math.isclose(self.train + self.validation + self.test, 1, abs_tol=1e-6):
            raise ValueError(f"the shares make {self.train + self.validation + self.test:g} in all; they must make 1")
        return self


class DatasetSettings(Section):
    """One dataset: either read from a source, or the merge of others."""

    format: Literal["ptbxl", "ecg_arrhythmia", "challenge"] | None = Field(
        None,
        description="Layout of the source: `ptbxl`, `ecg_arrhythmia`, or `challenge` (PhysioNet/CinC Challenge 2021: "
        "a header with `#Dx` and a data file per record, anywhere below the folder); null for a merge.",
    )
    source: Source | None = Field(None, description="Where the records come from; null for a merge.")
    subset: Literal["chapman", "ningbo"] | None = Field(
        None, description="ecg_arrhythmia only: `chapman` (JS00001 to JS10646) or `ningbo` (the rest); null: both."
    )
    folder: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$",
        description="challenge only: take only the records below this folder of the source (`training/georgia`); "
        "null: all.",
    )
    folds: Folds | None = Field(
        None,
        description="ptbxl only: the folds of each split; null: 1 to 8, 9 and 10, as its authors recommend. A rhythm "
        "needs ten test patients for a verdict: a small study may want more folds to test on.",
    )
    shares: Shares | None = Field(
        None,
        description="Formats other than ptbxl: share of each class's patients in each split; null: 0.8, 0.1 and 0.1.",
    )
    training_share: Share | None = Field(
        None,
        description="Only this share of the training records of each class is used, by generators and classifiers "
        "alike, as in a hospital with few records; validation and test stay as they are. null: all.",
    )
    rotate: int | None = Field(
        None,
        ge=2,
        le=10,
        description="Test every record: the records are divided into ten folds of patients (ptbxl: its own), and "
        "generators and classifiers are trained on this number of rotations of the folds. Each fold is tested once. "
        "Training takes this many times as long. null: one test split.",
    )
    merge: list[Name] | None = Field(
        None,
        min_length=2,
        description="Names of the datasets this one is the union of; null for a dataset with a source.",
    )
    synthetic: Literal["union", "trained"] = Field(
        "union",
        description="merge only: its synthetic set is the `union` of its members' synthetic sets, or comes from a "
        "generator `trained` on the merge.",
    )
    classifier: Name = Field("cnn", description="Which entry of `classifiers` is trained on this dataset.")

    @model_validator(mode="after")
    def _source_or_merge(self) -> DatasetSettings:
        if self.merge is not None:
            if any(part is not None for part in (self.source, self.format, self.subset, self.folder)):
                raise ValueError("a dataset has either `merge` or `format` and `source`, not both")
            if any(part is not None for part in (self.folds, self.shares, self.training_share, self.rotate)):
                raise ValueError(
                    "a merge has the splits of its members: set `folds`, `shares`, `training_share` and `rotate` there"
                )
        elif self.source is None or self.format is None:
            raise ValueError("a dataset needs `format` and `source`, or `merge`")
        if self.subset is not None and self.format != "ecg_arrhythmia":
            raise ValueError(f"`subset` {self.subset!r} is for format ecg_arrhythmia only")
        if self.folds is not None and self.format != "ptbxl":
            raise ValueError(f"`folds` are PTB-XL's, for format ptbxl only; format {self.format} has `shares`")
        if self.shares is not None and self.format == "ptbxl":
            raise ValueError("`shares` are for records without folds; format ptbxl has `folds`")
        for key in ("folds", "shares", "training_share"):
            if self.rotate is not None and getattr(self, key) is not None:
                raise ValueError(f"`rotate` decides which records are tested: remove `{key}`, or `rotate`")
        if self.folder is not None and self.format != "challenge":
            raise ValueError("`folder` is for format challenge only")
        if isinstance(self.source, SimulatedSource):
            if self.format == "challenge":
                raise ValueError("simulated records have the format ptbxl or ecg_arrhythmia")
            if self.subset is not None:
                raise ValueError("`subset` is for true records only: simulated ones are of neither hospital")
        if self.merge is None and self.synthetic != "union":
            raise ValueError(f"`synthetic` {self.synthetic!r} is for a merge only")
        return self
