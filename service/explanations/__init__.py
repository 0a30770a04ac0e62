"""Explanations: what is kept of an answer, where it is kept, what is measured on it and how it is drawn."""
