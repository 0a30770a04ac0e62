"""python -m service: settings, then one process that serves, or several; python -m service tune: see tune.py;
python -m service score: see score/command.py.
"""

import signal
import sys

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from service.errors import StartupError
from service.settings import Settings
from service.telemetry import logs


def main() -> int:
    """Serves until it is told to stop; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 of a container ignores it otherwise
    try:
        if sys.argv[1:2] == ["tune"]:
            from service import tune

            return tune.main(sys.argv[2:])
        if sys.argv[1:2] == ["score"]:
            from service.score import command

            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # it has not done what it was to
            return command.main(sys.argv[2:])
        settings = CliApp.run(Settings)
        logs.set_up(settings.log_level)
        return serve(settings)
    except ValidationError as error:
        for fault in error.errors():
            option = "--" + "-".join(map(str, fault["loc"])).replace("_", "-")
            print(f"error: {option}: {fault['msg']}, received {fault['input']!r}", file=sys.stderr)
        return 2
    except (SettingsError, StartupError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def serve(settings: Settings) -> int:
    """Serves with as many processes as the settings say. The parent of several does not load what they need.

    Raises:
        StartupError: something is not as the settings say.
    """
    if settings.workers > 1:
        from service.processes import workers

        return workers.serve(settings, _say)
    from service.processes import server

    return server.serve(settings, _say)


def _say(greeting: str) -> None:
    print(greeting, flush=True)


if __name__ == "__main__":
    sys.exit(main())
