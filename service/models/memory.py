"""The memory of models: what one takes, and how it is given back to the system."""

import asyncio
import ctypes

TRIM_S = 10.0
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
KEPT, LARGE = 64_000_000, 32_000_000  # bytes


def estimate(graph_bytes: int) -> int:
    """Bytes of main memory that a loaded model takes, runs aside; from the size of its model.onnx.

    ONNX Runtime keeps the weights once and, beside them, the graph. Measured over 5 to 40 sessions each: 0.29 MB of a
    graph of 0.03, 2.6 MB of 0.46 (the encoder-decoder), 8.5 MB of 8.4, 33.7 MB of 33.6; here 0.36, 2.7, 10.6, 35.8.
    The growth of the process tells less: it is that of its neighbours, too.
    """
    return graph_bytes + min(5 * graph_bytes, 2_000_000) + 200_000


async def keep_trimming() -> None:
    """Gives freed memory back to the system now and then, and keeps it in between, for the next run.

    Left to itself, glibc gives back what a run freed and asks for it again for the next, page by page: 256 sequences of
    planted-before took 92 page faults and 6 % longer. And it keeps other memory for ever: after 200 random shapes of
    japanese-vowels (batch up to 256, 20 runs each) 65 MB stay, and 0.4 MB once trimmed, which takes 1 to 15 ms on a
    thread.

    Where the C library has no `malloc_trim` (all but glibc), it has its own ways, and this returns at once.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim"):
        return
    library.mallopt(TRIM_THRESHOLD, KEPT)
    library.mallopt(MMAP_THRESHOLD, LARGE)
    while True:
        await asyncio.sleep(TRIM_S)
        await asyncio.to_thread(library.malloc_trim, 0)
