"""The routes under /api."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from blurdm_cli.errors import UsageError
from blurdm_cli.serve import choice
from blurdm_cli.serve.failures import Failure, NotFound, Stopped
from blurdm_cli.serve.jobs import Job, Jobs
from blurdm_cli.serve.settings import Options, Settings
from blurdm_cli.serve.tasks import Task
from blurdm_cli.serve.uploads import FIELD, GONE, receive

router = APIRouter(prefix="/api")

OUTCOME = "Blurdm-Outcome"
"""Header of a picture: its outcome as `blurdm deblur --json` prints it."""

BINARY = {"type": "string", "format": "binary"}
SEVERAL = {"type": "array", "items": BINARY}
FIELDS = Options.model_json_schema()["properties"]


class Problem(BaseModel):
    """Answer to a request that failed."""

    error: str
    hint: str = Field(description="What to do about it.")
    exit_code: int = Field(description="The exit code of the command line.")
    http_status: int


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "An option is unknown or out of range"},
    413: {"model": Problem, "description": "The body, or what it needs in memory, is too large"},
    422: {"model": Problem, "description": "Not a photo or video, damaged, or unsupported"},
    503: {"model": Problem, "description": "The queue is full; see Retry-After"},
    504: {"model": Problem, "description": "It took too long"},
}


def _body(file: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """The description of a body with a file: a form, or the raw file."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: file} | fields}
    content = {
        "multipart/form-data": {"schema": form},
        "application/octet-stream": {"schema": BINARY},
    }
    return {"requestBody": {"required": True, "content": content}}


def _jobs(request: Request) -> Jobs:
    return request.app.state.jobs


def _found(id: str, request: Request) -> Job:
    return _jobs(request).find(id)


Found = Annotated[Job, Depends(_found)]
Asked = Annotated[Options, Query()]


@router.post("/deblur", responses=PROBLEMS, openapi_extra=_body(BINARY, FIELDS))
async def deblur(request: Request, options: Asked) -> FileResponse:
    """Deblur one photo or video, sent as the field `file` of a form or as the raw body.

    The answer is the restored file with its metadata; the header `Blurdm-Outcome` holds the
    outcome as JSON. Nothing is kept.
    """
    job = await _received(request, options, "deblur", most_files=1)
    await _ended(request, job)
    row = job.files[0]
    if row["status"] != "done":
        _jobs(request).remove(job)
        raise Failure(
            {"error": row["message"]}
            | {name: row[name] for name in ("hint", "exit_code")}
            | {"http_status": row.get("http_status", 500)}
        )
    path = job.outputs[0]
    del row["number"]
    outcome = {OUTCOME: json.dumps(row)}
    return FileResponse(
        path,
        filename=path.name,
        headers=outcome,
        background=_removal(request, job),
    )


@router.post("/motion", responses=PROBLEMS, openapi_extra=_body(BINARY, {}))
async def motion(request: Request) -> dict[str, Any]:
    """Estimate how the camera moved, as `blurdm motion --json` does.

    `path` is a PNG in Base64: the path of the camera at the photo's scale, with the displacement 0
    in its middle.
    """
    job = await _received(request, Options(), "motion", most_files=1)
    await _ended(request, job)
    _jobs(request).remove(job)
    assert job.result
    return job.result


@router.post("/jobs", status_code=202, responses=PROBLEMS, openapi_extra=_body(SEVERAL, FIELDS))
async def create(request: Request, options: Asked) -> dict[str, Any]:
    """Deblur photos and videos in the background. The answer has the job's `id`."""
    job = await _received(request, options, "deblur")
    return job.row()


@router.get("/jobs/{id}")
async def read(job: Found) -> dict[str, Any]:
    """Read the state of a job."""
    return job.row()


@router.get("/jobs/{id}/events", response_class=EventSourceResponse)
async def events(job: Found, request: Request) -> AsyncIterable[ServerSentEvent]:
    """Follow a job: an event `file` for each finished file, and `job` for each other change.

    Both hold the rows of `GET /api/jobs/{id}`. The last event is the end of the job.
    """
    sent = 0
    while True:
        changed = job.changed
        for row in job.files[sent:]:
            yield ServerSentEvent(data=row, event="file")
            sent += 1
        yield ServerSentEvent(data=job.state_row(), event="job")
        if job.ended or _jobs(request).closing:
            return
        await changed.wait()


@router.delete("/jobs/{id}")
async def remove(job: Found, request: Request) -> dict[str, Any]:
    """Cancel a job, and delete its files."""
    _jobs(request).remove(job)
    return job.row()


@router.get("/jobs/{id}/files/{number}")
async def download(
    job: Found,
    number: int,
    request: Request,
    strength: Annotated[float, Query(ge=0, le=1)] = 1.0,
    view: bool = False,
) -> FileResponse:
    """Download a result.

    Args:
        job: the job.
        number: the number of the input, from 0.
        request: the request.
        strength: below 1, the result is mixed with the input; for photos only.
        view: whether to convert it to a JPEG that every browser shows.
    """
    path = job.outputs.get(number)
    if path is None or job.task is None:
        raise NotFound(f"The job has no result {number}", hint="Its state lists the results")
    if strength == 1 and not view:
        return FileResponse(path, filename=path.name)
    mixed = _jobs(request).admit()
    target = mixed.folder / (f"{path.stem}.jpg" if view else path.name)
    task = Task(
        "mix",
        (job.task.inputs[number], str(path)),
        str(target),
        strength=strength,
        format="jpg" if view else "keep",
        quality=job.task.quality,
    )
    _jobs(request).submit(mixed, task, first=True)
    await _ended(request, mixed)
    return FileResponse(target, filename=target.name, background=_removal(request, mixed))


@router.get("/models")
def models(request: Request) -> list[dict[str, Any]]:
    """List the models.

    `default` and `expert` mark the server's own. Only models with `motion` can have an expert. What
    a graph file does not state is null.
    """
    return choice.rows(_settings(request).model)


def _settings(request: Request) -> Settings:
    return request.app.state.settings


async def _received(
    request: Request, options: Options, kind: Any, most_files: int | None = None
) -> Job:
    """Take a place in the queue, receive the files, and queue the job."""
    jobs, settings = _jobs(request), _settings(request)
    job = jobs.admit()
    try:
        files, fields = await receive(request, job.folder, settings.most_bytes, settings.seconds)
        options = options.with_fields(fields)
        if most_files and len(files) > most_files:
            raise UsageError(f"{len(files)} files were sent", hint="Send several to /api/jobs")
        task = Task(
            kind,
            tuple(map(str, files)),
            str(job.folder / "out") + "/",
            **options.model_dump() | choice.chosen(options, settings.model),
        )
        jobs.submit(job, task)
    except BaseException:
        jobs.remove(job)
        raise
    return job


def _removal(request: Request, job: Job) -> BackgroundTask:
    """Removes a job after its answer; `Jobs` belongs to the event loop's thread."""

    async def remove() -> None:
        _jobs(request).remove(job)

    return BackgroundTask(remove)


async def _ended(request: Request, job: Job) -> None:
    """Wait for the end of a job; remove it if its client is gone, or if it failed.

    Raises:
        Failure: it failed as a whole.
    """
    jobs = _jobs(request)
    gone = asyncio.create_task(_gone(request))
    end = asyncio.create_task(job.until_ended())
    try:
        await asyncio.wait((gone, end), return_when=asyncio.FIRST_COMPLETED)
        if not job.ended:
            raise Stopped(GONE)
        if job.failure:
            raise Failure(job.failure)
    except BaseException:
        jobs.remove(job)
        raise
    finally:
        gone.cancel()
        end.cancel()


async def _gone(request: Request) -> None:
    """Wait until the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
