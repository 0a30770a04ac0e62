"""Attention-LSTMs in Keras: layers, models, data, fitting, judging, and export to ONNX."""

import logging
import os

# Both are read when the libraries are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Every seed is a model of its own, which TensorFlow traces anew, and warns of.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
