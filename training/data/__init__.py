"""Labelled sequences: the built-in data sets, and the user's own tables, small or larger than memory."""
