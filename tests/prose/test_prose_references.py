"""What can be cited: every key that a methods paragraph can name, with all that an entry needs."""

import inspect
import re

import pytest

from ecgpipe.prose import methods
from ecgpipe.prose.references import REFERENCES

NEEDED = {"article": {"author", "title", "journal", "year", "volume", "pages"}, "misc": {"author", "title", "year"}}
FORMS = {
    "doi": r"10\.\d{4,9}/\S+",
    "eprint": r"\d{4}\.\d{4,5}",
    "url": r"https://\S+",
    "year": r"(19|20)\d\d",
    "pages": r"e?\d+(--e?\d+)?",
    "volume": r"\d+",
    "number": r"\d+",
}


def test_every_key_that_the_paragraph_can_cite_is_there_and_no_other():
    keys = methods.cited(inspect.getsource(methods))
    assert len(keys) > 12
    assert set(keys) - {"key"} == set(REFERENCES)  # "key" is in a docstring


@pytest.mark.parametrize("key", REFERENCES)
def test_entries_have_all_fields_in_their_form(key):
    reference = REFERENCES[key]
    assert NEEDED[reference.kind] <= set(reference.fields)
    assert {"doi", "eprint", "url"} & set(reference.fields)
    for name, form in FORMS.items():
        if name in reference.fields:
            assert re.fullmatch(form, reference.fields[name]), name
    if number := reference.fields.get("eprint"):
        assert reference.fields["archiveprefix"] == "arXiv"
        assert reference.fields["howpublished"] == f"arXiv:{number}"
    people = reference.fields["author"].split(" and ")
    assert all(re.fullmatch(r"[^,]+, [^,]+|others", person) for person in people), people
    assert key == re.sub(r"[^a-z]", "", people[0].split(",")[0].lower().translate(ACCENTS)) + reference.fields["year"]
    assert reference.link.startswith("https://")


ACCENTS = str.maketrans("áéíóúñöüø", "aeiounouo")


def test_entries_are_bibtex():
    for key, reference in REFERENCES.items():
        entry = reference.bibtex(key)
        assert entry.startswith(f"@{reference.kind}{{{key},\n")
        assert entry.count("{") == entry.count("}")
        depth = 0
        for character in entry:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
