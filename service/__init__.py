"""The server: attention-LSTMs in ONNX Runtime, predictions with their reasons over REST."""

VERSION = "0.1.0"
