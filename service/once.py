"""Questions that are answered once: who asks meanwhile waits with the others, and the latest answers are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Once(Generic[K]):
    """Answers by question. One who gives up leaves the answer to the others; a failure is forgotten.

    Args:
        most: answers that are kept; the least recently asked for goes first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[K, asyncio.Task[Any]] = OrderedDict()

    async def ask(self, question: K, answer: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """The answer to the question.

        Args:
            answer: finds it, if it is not known.
        """
        task = self._answers.get(question)
        if task is None:
            task = self._answers[question] = asyncio.create_task(answer())
            task.add_done_callback(lambda task: self._forget_failed(question, task))
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        self._answers.move_to_end(question)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Gives up what is not answered yet."""
        tasks = list(self._answers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget_failed(self, question: K, task: asyncio.Task[Any]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._answers.get(question) is task:
            del self._answers[question]
