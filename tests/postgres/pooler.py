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

__all__ = ("running_pooler",)

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


@contextmanager
def running_pooler(server: Server) -> Iterator[str]:
    """Start it; gives what stands behind the user in a URL. No setting of a client is let through unseen."""
    folder = Path(tempfile.mkdtemp(prefix="lq-pgbouncer-"))
    folder.chmod(0o777)  # as root it runs as another user
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(server=server.socket_folder, port=_PORT, folder=folder), "utf-8")
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program is not None
    user = ["-u", server.user] if server.user else []
    process = subprocess.Popen([program, "-q", *user, str(settings)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(folder / f".s.PGSQL.{_PORT}")
        yield f"/postgres?host={folder}&port={_PORT}"
    finally:
        process.terminate()
        process.wait(10)
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
