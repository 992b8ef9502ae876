"""The worker process: holds the model, reads tasks from stdin, writes messages to stdout.

    stdin    {"options": {…}, "most_pixels": N, "most_memory": N}   once
             {"task": {…}}          one after another
             {"stop": true}         ends the current task
    stdout   {"ready": true}        the model is open, or the task before has ended
             {"progress": …} {"file": …} {"result": …}
             {"failed": {…}}        before "ready": the task failed as a whole

Each message is one line of JSON. The process ends when stdin does. Files that are sent to the
server are decoded here only: one that hangs or crashes a decoder costs the server this process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from blurdm_cli.errors import BlurdmError
from blurdm_cli.machine import limit_memory, tune_allocator, within_memory
from blurdm_cli.photo import pixels
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.serve.failures import Crashed, Stopped, failure_row
from blurdm_cli.serve.tasks import Task, Tasks


def main() -> None:
    """Run tasks until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when this process ends
        signal.signal(number, signal.SIG_IGN)
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print

    def tell(message: dict[str, Any]) -> None:
        messages.write(json.dumps(message) + "\n")
        messages.flush()

    start = json.loads(sys.stdin.readline())
    pixels.LARGEST = start["most_pixels"]
    waiting, stop = SimpleQueue[Task](), Event()
    if start["most_memory"]:
        limit_memory(start["most_memory"])
    else:
        tune_allocator()  # what it keeps would count as used
    try:
        tasks = Tasks(ModelOptions(**start["options"]))
    except BlurdmError as error:
        tell({"failed": failure_row(error)})
        return
    Thread(target=_listen, args=(waiting, stop), daemon=True).start()

    def check() -> None:
        if stop.is_set():
            raise Stopped("The job was cancelled")

    while True:
        tell({"ready": True})
        task = waiting.get()
        try:
            with within_memory("The request"):
                tasks(task, tell, check)
        except BlurdmError as error:
            tell({"failed": failure_row(error)})
        except Exception as error:  # a bug: its traceback goes to the server's log
            sys.excepthook(type(error), error, error.__traceback__)
            tell({"failed": failure_row(Crashed("The server made an error", hint="See its log"))})


def _listen(waiting: SimpleQueue[Task], stop: Event) -> None:
    """Pass on what stdin says; end the process when it ends, whatever runs."""
    for line in sys.stdin:
        message = json.loads(line)
        if "task" in message:
            stop.clear()
            waiting.put(Task(**message["task"]))
        else:
            stop.set()
    os._exit(0)


if __name__ == "__main__":
    main()
