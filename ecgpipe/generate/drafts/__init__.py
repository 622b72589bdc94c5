"""Drafts: what is known of an ECG before a network draws it: when the heart beats, and what a beat looks like.

Three parts, each of which can be read and tested alone:

* :mod:`.detection` and :mod:`.analysis` find beats, ectopic beats, atrial waves and the mean beat of a record,
* :mod:`.beats` is a generative model of beat sequences, :mod:`.mean_beat` one of mean beats,
* :mod:`.rendering` makes of a plan and a mean beat the draft and the channels that a generator is conditioned on.

:class:`.draft.DraftModel` puts them together.
"""
