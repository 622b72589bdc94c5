"""What the methods paragraph cites: BibTeX entries and links, by key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One work.

    Attributes:
        kind: of the BibTeX entry.
        fields: of the entry.
    """

    kind: str
    fields: dict[str, str]

    @property
    def link(self) -> str:
        """Where it is to be found."""
        if doi := self.fields.get("doi"):
            return f"https://doi.org/{doi}"
        if number := self.fields.get("eprint"):
            return f"https://arxiv.org/abs/{number}"
        return self.fields["url"]

    def bibtex(self, key: str) -> str:
        """Return the entry."""
        width = max(map(len, self.fields))
        lines = [f"  {name:<{width}} = {{{value}}}," for name, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{key},", *lines, "}"])


def _article(author: str, title: str, journal: str, year: str, doi: str, **more: str) -> Reference:
    return Reference(
        "article", {"author": author, "title": title, "journal": journal, "year": year, **more, "doi": doi}
    )


def _preprint(author: str, title: str, year: str, number: str) -> Reference:
    # The styles of BibTeX itself print what is in `howpublished`, biblatex what is in `eprint`.
    where = {"howpublished": f"arXiv:{number}", "eprint": number, "archiveprefix": "arXiv"}
    return Reference("misc", {"author": author, "title": title, "year": year, **where})


REFERENCES = {
    "nunez2024": _preprint(
        "Núñez, José Fernando and Arjona, Jamie and Béjar, Javier",
        "Synthetic {ECG} Generation for Data Augmentation and Transfer Learning in Arrhythmia Classification",
        "2024",
        "2411.18456",
    ),
    "wagner2020": _article(
        "Wagner, Patrick and Strodthoff, Nils and Bousseljot, Ralf-Dieter and Kreiseler, Dieter and Lunze, Fatima I. "
        "and Samek, Wojciech and Schaeffter, Tobias",
        "{PTB-XL}, a large publicly available electrocardiography dataset",
        "Scientific Data",
        "2020",
        "10.1038/s41597-020-0495-6",
        volume="7",
        pages="154",
    ),
    "zheng2022": Reference(
        "misc",
        {
            "author": "Zheng, Jianwei and Guo, Hangyuan and Chu, Huimin",
            "title": "A large scale 12-lead electrocardiogram database for arrhythmia study",
            "year": "2022",
            "howpublished": "PhysioNet",
            "doi": "10.13026/wgex-er52",
        },
    ),
    "zheng2020": _article(
        "Zheng, Jianwei and Chu, Huimin and Struppa, Daniele and Zhang, Jianming and Yacoub, S. M. and El-Askary, H. "
        "and Chang, A. and Ehwerhemuepha, L. and Abudayyeh, I. and Barrett, A. and Fu, G. and Yao, Hai and Li, D. and "
        "Guo, Hangyuan and Rakovski, Cyril",
        "Optimal multi-stage arrhythmia classification approach",
        "Scientific Reports",
        "2020",
        "10.1038/s41598-020-59821-7",
        volume="10",
        pages="2898",
    ),
    "goldberger2000": _article(
        "Goldberger, Ary L. and Amaral, Luis A. N. and Glass, Leon and Hausdorff, Jeffrey M. and Ivanov, Plamen Ch. "
        "and Mark, Roger G. and Mietus, Joseph E. and Moody, George B. and Peng, Chung-Kang and Stanley, H. Eugene",
        "{PhysioBank}, {PhysioToolkit}, and {PhysioNet}: Components of a new research resource for complex physiologic "
        "signals",
        "Circulation",
        "2000",
        "10.1161/01.CIR.101.23.e215",
        volume="101",
        number="23",
        pages="e215--e220",
    ),
    "mcsharry2003": _article(
        "McSharry, Patrick E. and Clifford, Gari D. and Tarassenko, Lionel and Smith, Leonard A.",
        "A dynamical model for generating synthetic electrocardiogram signals",
        "IEEE Transactions on Biomedical Engineering",
        "2003",
        "10.1109/TBME.2003.808805",
        volume="50",
        number="3",
        pages="289--294",
    ),
    "kong2020": _preprint(
        "Kong, Zhifeng and Ping, Wei and Huang, Jiaji and Zhao, Kexin and Catanzaro, Bryan",
        "{DiffWave}: A Versatile Diffusion Model for Audio Synthesis",
        "2020",
        "2009.09761",
    ),
    "alcaraz2023": _preprint(
        "Alcaraz, Juan Miguel Lopez and Strodthoff, Nils",
        "Diffusion-based Conditional {ECG} Generation with Structured State Space Models",
        "2023",
        "2301.08227",
    ),
    "ho2020": _preprint(
        "Ho, Jonathan and Jain, Ajay and Abbeel, Pieter",
        "Denoising Diffusion Probabilistic Models",
        "2020",
        "2006.11239",
    ),
    "lee2023": _preprint(
        "Lee, Daesoo and Malacarne, Sara and Aune, Erlend",
        "Vector Quantized Time Series Generation with a Bidirectional Prior Model",
        "2023",
        "2303.04743",
    ),
    "kachuee2018": _preprint(
        "Kachuee, Mohammad and Fazeli, Shayan and Sarrafzadeh, Majid",
        "{ECG} Heartbeat Classification: A Deep Transferable Representation",
        "2018",
        "1805.00794",
    ),
    "wang2016": _preprint(
        "Wang, Zhiguang and Yan, Weizhong and Oates, Tim",
        "Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline",
        "2016",
        "1611.06455",
    ),
    "strodthoff2020": _preprint(
        "Strodthoff, Nils and Wagner, Patrick and Schaeffter, Tobias and Samek, Wojciech",
        "Deep Learning for {ECG} Analysis: Benchmarks and Insights from {PTB-XL}",
        "2020",
        "2004.13701",
    ),
    "obuchowski1995": _article(
        "Obuchowski, Nancy A. and Rockette, Howard E.",
        "Hypothesis testing of diagnostic accuracy for multiple readers and multiple tests: an {ANOVA} approach with "
        "dependent observations",
        "Communications in Statistics -- Simulation and Computation",
        "1995",
        "10.1080/03610919508813243",
        volume="24",
        number="2",
        pages="285--308",
    ),
    "hillis2007": _article(
        "Hillis, Stephen L.",
        "A comparison of denominator degrees of freedom methods for multiple observer {ROC} analysis",
        "Statistics in Medicine",
        "2007",
        "10.1002/sim.2532",
        volume="26",
        number="3",
        pages="596--619",
    ),
    "holm1979": Reference(
        "article",
        {
            "author": "Holm, Sture",
            "title": "A simple sequentially rejective multiple test procedure",
            "journal": "Scandinavian Journal of Statistics",
            "year": "1979",
            "volume": "6",
            "number": "2",
            "pages": "65--70",
            "url": "https://www.jstor.org/stable/4615733",
        },
    ),
    "nadeau2003": _article(
        "Nadeau, Claude and Bengio, Yoshua",
        "Inference for the generalization error",
        "Machine Learning",
        "2003",
        "10.1023/A:1024068626366",
        volume="52",
        number="3",
        pages="239--281",
    ),
    "molder2021": _article(
        "Mölder, Felix and Jablonski, Kim Philipp and Letcher, Brice and Hall, Michael B. and "
        "Tomkins-Tinch, Christopher H. and Sochat, Vanessa and Forster, Jan and Lee, Soohyun and "
        "Twardziok, Sven O. and Kanitz, Alexander and Wilm, Andreas and Holtgrewe, Manuel and "
        "Rahmann, Sven and Nahnsen, Sven and Köster, Johannes",
        "Sustainable data analysis with {Snakemake}",
        "F1000Research",
        "2021",
        "10.12688/f1000research.29032.2",
        volume="10",
        pages="33",
    ),
    "paszke2019": _preprint(
        "Paszke, Adam and Gross, Sam and Massa, Francisco and others",
        "{PyTorch}: An Imperative Style, High-Performance Deep Learning Library",
        "2019",
        "1912.01703",
    ),
}
"""All that can be cited."""
