"""Tables of sequences that are too long for a request, scored as fast as ONNX Runtime runs them."""
