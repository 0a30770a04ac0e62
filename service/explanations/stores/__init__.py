"""Where explanations are kept."""
