import pyarrow.parquet as pq
import pytest

from service.errors import StartupError
from service.score import command


@pytest.fixture
def score(capsys):
    """score(source, out, ...) is what `python -m service score` prints; its error, if it has one."""

    def run(source, out, *options, model="planted-before"):
        arguments = [str(option) for option in (source, out, "--model", model, *options)]
        try:
            assert command.main(arguments) == 0
        except StartupError as error:
            return f"error: {error}"
        return capsys.readouterr().out

    return run


@pytest.fixture
def rows():
    """rows(path) are the rows of a Parquet file."""
    return lambda path: pq.read_table(path).to_pylist()
