"""The Open Inference Protocol V2 over REST, as Triton, KServe and MLServer speak it."""
