"""The batcher around a run of our own, in a real event loop."""

import asyncio
import threading
from dataclasses import dataclass
from time import monotonic

import pytest

from service.batcher import Batcher, DeadlineExceeded, Full, Job, Limits, Stopped

SHORT, LONG = 0.0, 1.0  # estimated seconds: on the loop, on the thread


@dataclass
class Work:
    name: str
    count: int = 1
    time: int = 1
    values: int = 1


class Bench:
    """A batcher whose runs are noted; a run of a key in `held` goes on until it is released."""

    def __init__(self, seconds=SHORT, count=100, values=1000, wait=100.0):
        self.runs = []  # (key, names, thread)
        self.held = {}
        self.batcher = Batcher(
            self.run, lambda key, count, time: seconds, lambda key, count, time: seconds, Limits(count, values), wait
        )

    def run(self, key, parts):
        self.runs.append((key, [part.name for part in parts], threading.current_thread() is threading.main_thread()))
        if key in self.held:
            assert self.held[key].wait(10)
        if any(part.name.startswith("poison") for part in parts):
            raise ValueError("poison")
        return [ValueError("bad") if part.name == "bad" else part.name.upper() for part in parts]

    def hold(self, key):
        self.held[key] = threading.Event()
        return self.held[key]

    def submit(self, *names, key="k", deadline=60.0, background=False, **work):
        """Returns a future of the results."""
        future = asyncio.get_running_loop().create_future()
        parts = [Work(name, **work) for name in names]

        def done(outcome):
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(list(outcome))

        future.job = Job(key, parts, done, monotonic() + deadline, background)
        self.batcher.submit(future.job)
        return future

    @property
    def batches(self):
        return [names for _, names, _ in self.runs]


def loop(test):
    """Runs a coroutine function as a test; pytest must not see its loop."""

    def run():
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def until(fact):
    while not fact():  # noqa: ASYNC110
        await asyncio.sleep(0)


@loop
async def test_what_arrives_in_one_turn_runs_together_on_the_loop():
    bench = Bench()
    assert await asyncio.gather(*[bench.submit(name) for name in "abc"]) == [["A"], ["B"], ["C"]]
    assert bench.runs == [("k", ["a", "b", "c"], True)]


async def one_each_turn(bench, names):
    """Submits so many jobs, each in a turn of the event loop of its own."""
    futures = []
    for name in names:
        futures.append(bench.submit(name))
        await asyncio.sleep(0)
    return await asyncio.gather(*futures)


@loop
async def test_after_a_run_of_several_those_who_ask_again_one_by_one_run_together():
    bench = Bench(count=4)
    await asyncio.gather(bench.submit("a"), bench.submit("b"))
    assert await one_each_turn(bench, "cdefg") == [["C"], ["D"], ["E"], ["F"], ["G"]]
    assert bench.batches == [["a", "b"], ["c", "d", "e", "f"], ["g"]]  # a run that is full waits for nobody


@loop
async def test_after_a_run_of_one_the_next_waits_for_nobody():
    bench = Bench()
    await one_each_turn(bench, "abc")
    assert bench.batches == [["a"], ["b"], ["c"]]


@loop
async def test_what_arrives_while_a_long_run_is_on_the_thread_runs_together_next():
    bench = Bench(seconds=LONG)
    release = bench.hold("k")
    first = bench.submit("a")
    await until(lambda: bench.runs)
    others = [bench.submit(name) for name in "bc"]
    release.set()
    assert await asyncio.gather(first, *others) == [["A"], ["B"], ["C"]]
    assert bench.runs == [("k", ["a"], False), ("k", ["b", "c"], False)]


@loop
async def test_a_run_is_bounded_by_count_and_by_padded_values():
    bench = Bench(count=3)
    await asyncio.gather(*[bench.submit(name, count=2) for name in "abc"])
    assert bench.batches == [["a"], ["b"], ["c"]]
    bench = Bench(values=20)
    await asyncio.gather(
        bench.submit("a", count=3, time=2), bench.submit("b", count=1, time=5), bench.submit("c", count=1, time=6)
    )
    assert bench.batches == [["a", "b"], ["c"]]  # 20 values; with c they are 30


@loop
async def test_what_is_larger_than_the_bounds_runs_alone():
    bench = Bench(count=3)
    assert await bench.submit("a", count=7) == ["A"]


@loop
async def test_a_job_of_many_parts_lets_others_run_between_and_gets_its_results_in_order():
    bench = Bench(count=1)
    long, short = bench.submit("a", "b", "c"), bench.submit("x")
    assert await asyncio.gather(long, short) == [["A", "B", "C"], ["X"]]
    assert bench.batches == [["a"], ["x"], ["b"], ["c"]]


@loop
async def test_keys_take_turns_by_the_time_they_used():
    bench = Bench(seconds=0.001, count=1)
    jobs = [bench.submit(f"a{i}", key="a") for i in range(3)] + [bench.submit(f"b{i}", key="b") for i in range(3)]
    await asyncio.gather(*jobs)
    assert bench.batches == [["a0"], ["b0"], ["a1"], ["b1"], ["a2"], ["b2"]]


@loop
async def test_interactive_jobs_go_before_background_ones():
    bench = Bench(count=1)
    jobs = [bench.submit("later", background=True), bench.submit("a"), bench.submit("b")]
    await asyncio.gather(*jobs)
    assert bench.batches == [["a"], ["b"], ["later"]]


@loop
async def test_background_work_runs_in_small_batches():
    bench = Bench(seconds=LONG)
    await asyncio.gather(*[bench.submit(name, background=True) for name in "ab"])
    assert bench.batches == [["a"], ["b"]]


@loop
async def test_a_poisonous_job_fails_alone():
    bench = Bench()
    jobs = [bench.submit(name) for name in ("a", "poison", "bad", "b")]
    found = await asyncio.gather(*jobs, return_exceptions=True)
    assert (found[0], found[3]) == (["A"], ["B"])
    assert [str(found[1]), str(found[2])] == ["poison", "bad"]


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_a_cancelled_job_never_runs_and_its_neighbours_do(seconds):
    async def run():
        bench = Bench(seconds=seconds)
        jobs = [bench.submit(name) for name in "abc"]
        bench.batcher.cancel(jobs[1].job)
        assert await asyncio.gather(jobs[0], jobs[2]) == [["A"], ["C"]]
        assert bench.batches == [["a", "c"]]
        assert not jobs[1].done()

    asyncio.run(run())


@loop
async def test_a_job_that_waits_beyond_its_deadline_ends_while_another_runs_and_never_runs():
    bench = Bench(seconds=LONG)
    release = bench.hold("k")
    first = bench.submit("a")
    await until(lambda: bench.runs)
    with pytest.raises(DeadlineExceeded):
        await bench.submit("b", deadline=0.01)
    release.set()
    assert await first == ["A"]
    assert await bench.submit("c") == ["C"]
    assert bench.batches == [["a"], ["c"]]


@loop
async def test_a_job_that_runs_beyond_its_deadline_ends_too():
    bench = Bench(seconds=LONG)
    release = bench.hold("k")
    with pytest.raises(DeadlineExceeded):
        await bench.submit("a", deadline=0.01)
    release.set()
    assert await bench.submit("b") == ["B"]


@loop
async def test_more_waiting_work_than_the_limit_is_refused_until_it_is_done():
    bench = Bench(seconds=LONG, wait=1.5)
    release = bench.hold("k")
    jobs = [bench.submit(name) for name in "ab"]  # two seconds, by the estimate
    with pytest.raises(Full) as refused:
        bench.submit("c")
    assert refused.value.retry_after == pytest.approx(2.0)
    release.set()
    await asyncio.gather(*jobs)
    assert await bench.submit("c") == ["C"]


@loop
async def test_background_work_is_no_reason_to_refuse_interactive_work():
    bench = Bench(seconds=LONG, wait=1.5)
    release = bench.hold("k")
    jobs = [bench.submit(name, background=True) for name in "ab"]
    with pytest.raises(Full):
        bench.submit("c", background=True)
    jobs.append(bench.submit("d"))
    release.set()
    assert (await asyncio.gather(*jobs))[2] == ["D"]


@loop
async def test_cancelled_and_expired_jobs_do_not_count_as_waiting():
    bench = Bench(seconds=LONG, wait=1.5)
    release = bench.hold("k")
    first = bench.submit("a")
    bench.batcher.cancel(bench.submit("b").job)
    with pytest.raises(DeadlineExceeded):
        await bench.submit("c", deadline=0.01)
    last = bench.submit("d")
    release.set()
    assert await asyncio.gather(first, last) == [["A"], ["D"]]


@loop
async def test_closing_finishes_every_job():
    bench = Bench(seconds=LONG)
    release = bench.hold("k")
    jobs = [bench.submit("a")]
    await until(lambda: bench.runs)
    jobs.append(bench.submit("b"))
    bench.batcher.close()
    for found in await asyncio.gather(*jobs, return_exceptions=True):
        assert isinstance(found, Stopped)
    with pytest.raises(Stopped):
        bench.submit("c")
    release.set()


@loop
async def test_a_receiver_that_fails_does_not_cost_its_neighbours_their_answer():
    bench = Bench()

    def fail(outcome):
        raise RuntimeError("receiver")

    bench.batcher.submit(Job("k", [Work("a")], fail, monotonic() + 60))
    assert await bench.submit("b") == ["B"]
