"""Looks at the folder of models again and again, while it is served."""

import asyncio
import logging

from service.errors import PinsError
from service.models.repository import Repository

logger = logging.getLogger(__name__)


async def watch(repository: Repository, seconds: float) -> None:
    """Has the repository look at its folder, with so many seconds between; 0 is never.

    It polls, because inotify does not tell what another container has written.
    """
    fault = ""
    while seconds:
        await asyncio.sleep(seconds)
        try:
            await repository.look()
            fault = ""
        except (OSError, PinsError) as error:
            if str(error) != fault:  # said once
                logger.error("the models stay as they are: %s", error)
            fault = str(error)
        except Exception:  # whatever one look met, the next may not
            logger.exception("a look at the models failed")
