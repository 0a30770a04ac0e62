"""Bodies of POST /predict as hypothesis makes them up: good ones, nearly good ones, damaged ones."""

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.serving import MODELS

names = st.sampled_from(sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
texts = st.one_of(st.text(max_size=30), st.text("0123456789 .,/abcdefgjlmnoprstuvy", min_size=1, max_size=40))

# Numbers as a client may write them, most of them good.
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
values = st.one_of(floats, floats, st.integers(), st.floats(), st.none(), st.booleans(), st.text(max_size=3))
leaves = st.recursive(values, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))


@st.composite
def shaped(draw):
    """A request of the right shape for its model, with now and then a wrong value in it."""
    name = draw(names)
    manifest = json.loads((MODELS / name / "1" / "model.json").read_text())
    if manifest["task"] == "sequence":
        sequences = draw(st.lists(st.one_of(texts, texts, texts, leaves), max_size=3))
    else:
        sequences = draw(numbers(manifest))
    optional = {
        "version": st.one_of(st.just(1), leaves),
        "top_k": st.one_of(st.integers(1, 50), leaves),
        "beam": st.one_of(st.integers(1, 16), leaves),
        "store": st.one_of(st.booleans(), leaves),
        "deadline": st.one_of(st.floats(1, 60), leaves),
        "priority": st.one_of(st.sampled_from(["interactive", "background"]), leaves),
        "faithfulness": st.one_of(st.just("fast"), leaves),
        "attention": st.one_of(st.sampled_from(["per_step", "per_feature"]), leaves),
        draw(st.text(max_size=5)): leaves,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=2))
    return {"model": name, "sequences": sequences, **{field: draw(optional[field]) for field in chosen}}


@st.composite
def numbers(draw, manifest):
    """Sequences of the right shape for their model, with now and then a wrong value in them."""
    features = len(manifest["features"])
    low, high = manifest["lengths"]["min"], manifest["lengths"]["max"] or 40
    value = draw(st.sampled_from([floats, floats, values]))
    steps = st.integers(low, high) if draw(st.integers(0, 9)) else st.integers(0, 40)
    scalar = st.one_of(value).map(lambda v: [v] * features)
    return [
        [draw(scalar)] * draw(steps)
        if draw(st.booleans())
        else draw(leaves)
        if not draw(st.integers(0, 9))
        else draw(st.lists(scalar, min_size=low, max_size=low))
        for _ in range(draw(st.integers(0, 3)))
    ]


anything = st.one_of(leaves, st.dictionaries(st.sampled_from(["model", "sequences", "version", "top_k"]), leaves))
bodies = st.one_of(shaped().map(json.dumps), shaped().map(json.dumps), anything.map(json.dumps)).map(str.encode)


@st.composite
def damaged(draw):
    """A request of which some bytes were lost, doubled or replaced."""
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
    return bytes(body)


bounded = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
