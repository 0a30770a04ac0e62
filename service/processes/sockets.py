"""The address of the server: listened to by one process, or reserved for several."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import StartupError

BACKLOG = 2048  # connections that wait to be accepted


def listen(host: str, port: int, share: bool = False) -> socket.socket:
    """A socket that listens.

    Args:
        share: with other processes, on a port that is reserved for them.

    Raises:
        StartupError: the address is taken, or not of this machine.
    """
    with _explained(host, port):
        return socket.create_server((host, port), backlog=BACKLOG, reuse_port=share)


def reserve(host: str, port: int) -> socket.socket:
    """A socket that has the address, for others to share, but does not listen: no connection comes to it.

    Raises:
        StartupError: the address is taken, or not of this machine.
    """
    reserved = socket.socket()
    with _explained(host, port):
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a server before us has left is no matter
        reserved.bind((host, port))
    # Only now: set before, it would share the port of another server of this user without a word.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return reserved


@contextmanager
def _explained(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if (error.errno or 0) < 0:  # of the name look-up
            raise StartupError(f"expected an IPv4 address of this machine for --host, received {host}") from error
        hint = "; --port picks another" if error.errno == errno.EADDRINUSE else ""
        found = os.strerror(error.errno or 0)
        raise StartupError(f"expected to listen on {host}:{port}, received: {found}{hint}") from error
