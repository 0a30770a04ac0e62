"""Attention-LSTMs in Keras: layers, models, data, fitting, judging, and export to ONNX."""

import os

# Both are read when the libraries are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
