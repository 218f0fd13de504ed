"""The program that a job runs: `rag` itself, with its end written down, whatever that is.

    python -m rag.jobs.child FOLDER LOCK ARGUMENT...

LOCK is the number of an open file that is locked; it is held until the process has ended, however that happens.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rag import cli
from rag.jobs.job import CANCELLED, END, INTERRUPTED, write_json
from rag.tracebacks import without_words


def main(arguments: Sequence[str]) -> int:
    folder, lock = Path(arguments[0]).resolve(), int(arguments[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the page may have ignored it
    code = 1
    try:
        os.set_inheritable(lock, False)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        os.nice(10)  # people who ask come first
        os.umask(cli.PRIVATE)
        code = INTERRUPTED if (folder / CANCELLED).exists() else cli.main(arguments[2:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        print(without_words(error), file=sys.stderr)  # noqa: T201 - into the job's log, which the page may show
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        write_json(folder / END, {"code": code, "ended": time.time()})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
