"""Kept explanations as files: `files.py` writes them, of what `numbers.py` and `texts.py` make of explanations."""
