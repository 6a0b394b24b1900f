"""In: a server. Out: a real pgbouncer in transaction mode before it, with fewer connections than it has clients."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres.server import Server

__all__ = ("Pooler", "running_pooler")

_PORT = 6432
_SETTINGS = """
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
server_connect_timeout = 5
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
server_round_robin = 1
logfile = {folder}/log
"""


class Pooler:
    """One pgbouncer.

    Args:
        server: Which server it stands before.
        folder: For its socket.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        folder.chmod(0o777)  # as root it runs as another user
        self.folder = folder
        self._user = ["-u", server.user] if server.user else []
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(_SETTINGS.format(server=server.socket_folder, port=_PORT, folder=folder), "utf-8")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None
        command = [program, "-q", *self._user, str(self._settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _wait_for(self.folder / f".s.PGSQL.{_PORT}")

    def stop(self) -> None:
        """End it and every connection."""
        self._process.kill()
        self._process.wait(10)

    def restart(self, away: float) -> None:
        """End it, and start it after a while."""
        self.stop()
        time.sleep(away)
        (self.folder / f".s.PGSQL.{_PORT}").unlink(missing_ok=True)
        self.start()

    @property
    def address(self) -> str:
        """What stands behind the user in a URL. No setting of a client is let through unseen."""
        return f"/postgres?host={self.folder}&port={_PORT}"


@contextmanager
def running_pooler(server: Server) -> Iterator[Pooler]:
    """Start one, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="lq-pgbouncer-"))
    pooler = Pooler(server, folder)
    try:
        yield pooler
    finally:
        pooler.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                assert time.monotonic() < deadline, "pgbouncer does not start"
                time.sleep(0.02)
            else:
                return
