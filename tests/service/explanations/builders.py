import asyncio

import numpy as np
import uuid_utils

from service.explanations.record import Explanation
from service.ragged import Ragged


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
        "features": [f"x{i}" for i in range(features)],
        "classes": ["no", "yes"],
        "sequences": Ragged.of([random.standard_normal((n, features)).astype(np.float32) for n in steps]),
        "predictions": np.full((len(steps), 1), 0.75, np.float32),
        "labels": ["yes"] * len(steps),
        "attention": Ragged.of([w / w.sum(axis=0) for w in weights]) if with_attention else None,
    }
    return Explanation(**{**fields, **changes})


def put(store, one):
    """Puts an explanation; the future is done when it is kept, or has the error."""
    found = asyncio.get_running_loop().create_future()
    store.put(one, lambda error: found.set_result(None) if error is None else found.set_exception(error))
    return found
