"""In: nothing. Out: the photo desk on this machine, from the first upload to a worker that drains; exit code 0 or 1."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final

import httpx
from PIL import Image

from mail_sink import MailSink

HERE: Final = Path(__file__).parent
SCRIPTS: Final = Path(sys.executable).parent
STARTED_AT: Final = time.monotonic()
TIME_LIMIT: Final = 40.0
"""Seconds for the whole demo."""


def show(desk: Desk, web: httpx.Client, sink: MailSink) -> None:
    """Show everything, from top to bottom."""
    title("Start the web app and a worker: two processes, one SQLite file")
    desk.start("web", "litestar", "run", "--port", str(desk.web_port))
    desk.start("worker", "litestar", "queues", "run", "--drain-timeout", "10")
    until("the web app answers", lambda: answers(web))
    until("the worker claims", lambda: "litestar queues worker started" in desk.log("worker"))
    for name, process in desk.processes.items():
        say(f"the {name} process holds {memory_of(process)} MiB of memory")

    title("Upload two pictures and follow their thumbnails")
    photo, large_photo = upload(web, paint(900, 600)), upload(web, paint(4000, 3000))
    follow(web, photo["task_url"])
    follow(web, large_photo["task_url"])
    thumbnail = web.get(f"/photos/{photo['photo_id']}/small")
    say(f"GET /photos/.../small: {thumbnail.status_code}, {len(thumbnail.content)} bytes of JPEG")
    expect("a thumbnail is served", thumbnail.is_success)

    title("Upload a text, then half a picture")
    refused = web.post("/photos", files={"picture": b"a text"})
    say(f"POST /photos: {refused.status_code} {refused.json()['detail']}")
    expect("the web app refuses a text", refused.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE)
    half = upload(web, paint(900, 600)[:4000])
    expect("half a picture fails without retries", follow(web, half["task_url"], ends="failed")["attempt"] == 1)

    title("Share a photo: two clicks, and a mail server that is busy at first")
    clicks = [web.post(f"/photos/{photo['photo_id']}/share", json={"to": "ada@example.org"}) for _ in range(2)]
    mail_url, same_url = (click.json()["task_url"] for click in clicks)
    expect("two clicks make one mail", mail_url == same_url)
    follow(web, mail_url)
    say(f"the mail server refused {sink.refusals} attempt and took {len(sink.mails)} mail")
    expect("one mail arrives after one refusal", (sink.refusals, len(sink.mails)) == (1, 1))

    title("Look at the queue")
    desk.run("litestar", "queues", "status")
    desk.run("litestar", "queues", "scheduler-health")
    desk.run("litestar-queues-probe", "live")
    desk.run("litestar-queues-probe", "ready")

    title("Stop the worker while a task is running")
    panorama = upload(web, paint(8000, 5000))
    until("the panorama is being worked on", lambda: look(web, panorama["task_url"])["status"] == "running")
    say("SIGTERM")
    exit_code = desk.stop("worker")
    say(f"the worker ended with exit code {exit_code}")
    expect("a clean drain ends with exit code 0", exit_code == 0)
    expect("the drain let the task finish", look(web, panorama["task_url"])["status"] == "completed")
    follow(web, panorama["task_url"])
    desk.stop("web")


class Desk:
    """The processes of the photo desk; all that they store is in one folder."""

    def __init__(self, folder: Path, smtp_port: int) -> None:
        self.folder = folder
        self.web_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "LITESTAR_QUEUES_QUEUE_BACKEND": f"sqlite:///{folder}/queue.db",
            "LITESTAR_QUEUES_HEALTH_PORT": str(free_port()),
            "PHOTOS_DATA": f"{folder}/data",
            "PHOTOS_SMTP_PORT": str(smtp_port),
        }

    def start(self, name: str, script: str, *arguments: str) -> None:
        """Start a process that stays; what it prints goes to its log."""
        say(f"$ {script} {' '.join(arguments)} &")
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [SCRIPTS / script, *arguments], cwd=HERE, env=self.environment, stdout=log, stderr=log
            )

    def run(self, script: str, *arguments: str) -> None:
        """Run a command to its end and show what it prints."""
        say(f"$ {script} {' '.join(arguments)}")
        done = subprocess.run(
            [SCRIPTS / script, *arguments],
            cwd=HERE,
            env=self.environment,
            timeout=10,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (done.stdout + done.stderr).splitlines():
            say(f"  {line}")
        expect(f"`{script} {' '.join(arguments)}` ends with exit code 0, not {done.returncode}", done.returncode == 0)

    def stop(self, name: str) -> int:
        """Send SIGTERM and wait for the exit code."""
        process = self.processes[name]
        process.terminate()
        until(f"the {name} process ends", lambda: process.poll() is not None)
        return process.wait()

    def log(self, name: str) -> str:
        """Read what a process has printed."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End the processes that still run."""
        for process in self.processes.values():
            process.kill()
            process.wait()


def upload(web: httpx.Client, picture: bytes) -> dict[str, str]:
    """Send a picture and give back the answer."""
    answer = web.post("/photos", files={"picture": picture})
    say(f"POST /photos with {len(picture)} bytes: {answer.status_code}")
    expect("an upload is accepted", answer.status_code == httpx.codes.ACCEPTED)
    return dict(answer.json())


def follow(web: httpx.Client, url: str, *, ends: str = "completed") -> dict[str, Any]:
    """Print each change of a task until it ends."""
    task: dict[str, Any] = {}

    def has_ended() -> bool:
        nonlocal task
        if (now := look(web, url)) != task:
            task = now
            progress = "{current} of {total}, {message}".format(**task["progress"]) if task["progress"] else None
            details = filter(None, [progress, task["error"]])
            more = "".join(f" ({text})" for text in details)
            say(f"{task['task']} is {task['status']}, attempt {task['attempt']}{more}")
        return task["status"] in {"completed", "failed", "cancelled"}

    until(f"{url} ends", has_ended)
    expect(f"it ends as {ends}", task["status"] == ends)
    return task


def look(web: httpx.Client, url: str) -> dict[str, Any]:
    """Ask how a task is doing."""
    return dict(web.get(url).raise_for_status().json())


def until(what: str, check: Callable[[], bool], *, within: float = 15.0) -> None:
    """Ask again and again, for a limited time."""
    deadline = min(time.monotonic() + within, STARTED_AT + TIME_LIMIT)
    while not check():
        expect(f"{what} in time", time.monotonic() < deadline)
        time.sleep(0.05)


def answers(web: httpx.Client) -> bool:
    """Tell whether the web app is up."""
    try:
        return web.get("/schema/openapi.json").is_success
    except httpx.TransportError:
        return False


def memory_of(process: subprocess.Popen[bytes]) -> int:
    """Ask the system how much memory a process holds, in MiB."""
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(process.pid)])) // 1024


def paint(width: int, height: int) -> bytes:
    """Paint a picture."""
    file = BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def expect(what: str, condition: bool) -> None:  # noqa: FBT001 - reads as a sentence
    """Go on only if it is so."""
    if not condition:
        raise AssertionError(what)


def title(text: str) -> None:
    """Print the head of a chapter."""
    print(f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - STARTED_AT:5.1f}  {text}", flush=True)


def main() -> int:
    """Run the demo in a folder of its own, and clean up however it ends."""
    with TemporaryDirectory(prefix="photos-") as folder, MailSink() as sink:
        Thread(target=sink.serve_forever, daemon=True).start()
        desk = Desk(Path(folder), sink.port)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{desk.web_port}", timeout=10) as web:
                show(desk, web, sink)
        except (AssertionError, httpx.HTTPError, subprocess.SubprocessError) as error:
            title(f"FAILED, expected: {error}")
            for name in desk.processes:
                print(f"-- the log of the {name} process:\n{desk.log(name)}")
            return 1
        finally:
            desk.close()
            sink.shutdown()
    title("All as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
