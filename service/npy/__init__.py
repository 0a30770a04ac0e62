"""POST /predict with NumPy's files as bodies."""
