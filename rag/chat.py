"""A conversation in the terminal. Ctrl-C stops an answer, Ctrl-D ends the chat."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing

from rag import terminal
from rag.answer import Asker, clean_question
from rag.errors import RagError, UsageError
from rag.shapes import answer_shape
from rag.types import Answer, Exchange

PROMPT = "\n> "
HELP = """Ask anything; a follow-up is understood from what was asked before.
  /sources   the passages that the last answer cites, in full
  /history   what was asked and answered so far
  /new       forget it
  /quit      end (as Ctrl-D does); Ctrl-C stops an answer"""


class Chat:
    """`read` gives the next line, and raises EOFError when there is none."""

    def __init__(
        self, asker: Asker, passages: int, as_json: bool = False, read: Callable[[], str] | None = None
    ) -> None:
        self._out = sys.stdout
        self._asker = asker
        self._passages = passages
        self._as_json = as_json
        self._read = read or _line
        self._history: list[Exchange] = []
        self._last: Answer | None = None

    def run(self) -> int:
        """Until the lines end. Errors that people see end a question, not the chat."""
        while True:
            try:
                line = self._read().strip()
            except EOFError:
                return 0
            except KeyboardInterrupt:
                terminal.say("")  # the terminal has written ^C
                terminal.say("Ctrl-D ends the chat.")
                continue
            if line in ("/quit", "/exit", "/q"):
                return 0
            try:
                self._do(line)
            except KeyboardInterrupt:
                terminal.say("")
                terminal.say("Stopped.")
            except RagError as error:
                terminal.say(f"rag: {error}")

    def _do(self, line: str) -> None:
        commands = {
            "/help": self._help,
            "/sources": self._sources,
            "/history": self._show_history,
            "/new": self._forget,
        }
        if line in commands:
            commands[line]()
        elif line.startswith("/"):
            raise UsageError(f"There is no command {line.split()[0]}; /help lists what there is.")
        elif line:
            self._ask(line)

    def _ask(self, question: str) -> None:
        """An answer that was stopped is no part of the conversation."""
        if self._as_json:
            answer = self._asker.ask(question, self._passages, self._history)
            terminal.show_json(answer_shape(answer), self._out)
        else:
            understood = self._asker.understand(question, self._history)
            if understood != clean_question(question):
                terminal.say(f"Understood as: {understood}")
            with closing(self._asker.stream(question, self._passages, self._history, understood)) as pieces:
                answer = terminal.show_answer(pieces, self._out)
        self._out.flush()
        self._last = answer
        self._history.append(Exchange(answer.understood, answer.text))

    def _help(self) -> None:
        print(HELP, file=self._out)

    def _sources(self) -> None:
        if not self._last or not self._last.citations:
            print("The last answer cites nothing." if self._last else "Nothing was asked yet.", file=self._out)
            return
        terminal.show_sources(self._last, self._out)

    def _show_history(self) -> None:
        for number, exchange in enumerate(self._history, start=1):
            print(f"{number}. {terminal.plain(exchange.question)}", file=self._out)
            print("   " + "\n   ".join(map(terminal.plain, exchange.answer.splitlines())), file=self._out)
        if not self._history:
            print("Nothing was asked yet.", file=self._out)

    def _forget(self) -> None:
        self._history.clear()
        self._last = None
        print("Forgotten. The next question stands alone.", file=self._out)


def _line() -> str:
    """The next line of standard input, after a prompt where somebody types it."""
    if sys.stdin is None:
        raise EOFError
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line
    import readline  # noqa: F401 - gives input() its line editing and its memory of what was typed

    try:
        return input(PROMPT)
    except EOFError:
        terminal.say("")  # Ctrl-D ends no line
        raise
