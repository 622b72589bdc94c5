"""Judgement of anybody's synthetic ECGs: closeness, privacy, and whether they help a classifier."""
