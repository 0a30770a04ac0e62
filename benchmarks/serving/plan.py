"""How long and where to measure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What every case is given.

    Attributes:
        repeats: how often the ways take turns.
        seconds: of a turn; a tenth more is warm-up. What takes longer or counts requests is in proportion: at 1.5 s
            the overload lasts 60 s.
        server, load: the core of the server that is measured, and that of the load.
        options: more options of our server.
        peers: URLs of other servers by their name, with `{model}` for the model's name.
    """

    repeats: int
    seconds: float
    server: int
    load: int
    options: list[str]
    peers: dict[str, str]
