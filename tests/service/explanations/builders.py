import asyncio
import itertools
from functools import cache

import numpy as np
import uuid_utils

from service.explanations.record import Explanation, Ragged

numbers = itertools.count()


def explanation(*, steps=(5,), features=2, per_feature=False, with_attention=True, created=1000.0, **changes):
    """An explanation of random sequences, `steps` long each."""
    random = np.random.default_rng(0)
    shapes = [(n, features) if per_feature else (n,) for n in steps]
    weights = [random.random(shape).astype(np.float32) for shape in shapes]
    fields = {
        "id": str(uuid_utils.uuid7()),
        "created": created,
        "model": "m",
        "version": 1,
        "task": "binary",
        "features": names(features, per_feature),
        "classes": ["no", "yes"],
        "sequences": Ragged.of([random.standard_normal((n, features)).astype(np.float32) for n in steps]),
        "predictions": np.full((len(steps), 1), 0.75, np.float32),
        "labels": ["yes"] * len(steps),
        "attention": Ragged.of([w / w.sum(axis=0) for w in weights]) if with_attention else None,
    }
    return Explanation(**{**fields, **changes})


def at(seconds):
    """Fields of an explanation made at that time, with an id above those of others of the same millisecond."""
    id = int(seconds * 1000).to_bytes(6, "big") + b"\x70\0\x80" + next(numbers).to_bytes(7, "big")
    return {"id": str(uuid_utils.UUID(bytes=id)), "created": seconds}


@cache
def names(features, per_feature):
    """Of the features of a model, whose explanations all have the list of its manifest."""
    return [f"x{i}" for i in range(features)]


def put(store, one):
    """Puts an explanation; the future is done when it is kept, or has the error."""
    found = asyncio.get_running_loop().create_future()
    store.put(one, lambda error: found.set_result(None) if error is None else found.set_exception(error))
    return found
