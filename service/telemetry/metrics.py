"""What is counted, each once, and how it is called."""

from dataclasses import dataclass

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SEQUENCES = tuple(float(2**power) for power in range(13))  # 1 to 4,096
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))


@dataclass(frozen=True)
class Metric:
    """What is counted, `attention_lstm_NAME` to Prometheus.

    Attributes:
        buckets: upper bounds of a histogram, each part of its bucket; None for what is none.
        distance: whether it is a `Drift`; what is neither this nor a histogram is a counter.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] | None = None
    distance: bool = False


MODEL = ("model", "version")
REQUESTS = Metric("requests", "Requests of a model by outcome: ok, or the kind of error.", (*MODEL, "outcome"))
TOTAL = Metric("request_seconds", "From the request read and its model loaded to the answer made.", MODEL, SECONDS)
QUEUE = Metric("queue_seconds", "A request's wait for its first run.", MODEL, SECONDS)
COMPUTE = Metric("compute_seconds", "A run of the model.", MODEL, SECONDS)
BATCH_SIZE = Metric("batch_sequences", "Sequences of a run of the model.", MODEL, SEQUENCES)
SEQUENCES_RUN = Metric("sequences", "Sequences run.", MODEL)
STEPS = Metric("steps", "Time steps run.", MODEL)
PADDED_STEPS = Metric("padded_steps", "Time steps run, padding included; 1 - steps/padded_steps is waste.", MODEL)
CONCENTRATION = Metric(
    "attention_concentration", "Of a sequence: 0 all steps weigh the same, 1 one has all the weight.", MODEL, TENTHS
)
TOP_POSITION = Metric(
    "attention_top_position", "Where in its sequence the heaviest step is: 0 begin, 1 end.", MODEL, TENTHS
)
DRIFT = Metric(
    "attention_drift",
    "Share of the weight that lies elsewhere than in training, in the mean over the last hour or so.",
    MODEL,
    distance=True,
)
VERDICTS = Metric("faithfulness_verdicts", "Sequences whose weights were tested, by verdict.", (*MODEL, "verdict"))
ERRORS = Metric("errors", "Errors answered.", ("kind", "status"))
HTTP_REQUESTS = Metric("http_requests", "HTTP requests answered.", ("method", "route", "status"))
HTTP_SECONDS = Metric("http_request_seconds", "From a request's headers to its answer's end.", ("route",), SECONDS)
EXPLANATIONS = Metric("explanations", "Explanations to keep, by outcome: kept, or not kept.", ("outcome",))
OF_ATTENTION = (CONCENTRATION, TOP_POSITION, DRIFT, VERDICTS)
OF_MODELS = (REQUESTS, TOTAL, QUEUE, COMPUTE, BATCH_SIZE, SEQUENCES_RUN, STEPS, PADDED_STEPS, *OF_ATTENTION)
METRICS = {metric.name: metric for metric in (*OF_MODELS, EXPLANATIONS, ERRORS, HTTP_REQUESTS, HTTP_SECONDS)}
