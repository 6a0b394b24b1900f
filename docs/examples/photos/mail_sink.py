"""In: mail over SMTP. Out: a list of what arrived; the first recipient is refused once, to be asked again."""

from __future__ import annotations

from socketserver import StreamRequestHandler, ThreadingTCPServer

__all__ = ("MailSink",)


class MailSink(ThreadingTCPServer):
    """A mail server for the demo: just enough SMTP for `smtplib`, on a free port of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.port: int = self.server_address[1]
        self.refusal = "451 busy, please come again"
        self.refusals = 0
        """How often a recipient was refused."""
        self.mails: list[str] = []
        """The mails that were accepted, as text."""


class _Session(StreamRequestHandler):
    server: MailSink

    def handle(self) -> None:
        self._answer("220 demo")
        while line := self.rfile.readline():
            match line.decode().strip().upper().partition(":")[0]:
                case "RCPT TO" if not self.server.refusals:
                    self.server.refusals += 1
                    self._answer(self.server.refusal)
                case "DATA":
                    self._answer("354 go on")
                    self.server.mails.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                    self._answer("250 it is in the box")
                case "QUIT":
                    return self._answer("221 bye")
                case _:
                    self._answer("250 fine")
        return None

    def _answer(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
