"""Routes of the runs that a server was started with; nothing can be changed, and no other folder be seen."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from netwright.serving.answers import json_answer
from netwright.serving.problems import not_found
from netwright.serving.run_folders import detail_of, line_of, report_of
from netwright.serving.told import answers


def runs_router(folders: Mapping[str, Path]) -> APIRouter:
    """`GET /runs`, `GET /runs/{name}` and `GET /runs/{name}/report`.

    Args:
        folders: Of runs and comparisons, by the names that they are asked for by.
    """
    router = APIRouter()

    def folder_of(name: str) -> Path:
        if name not in folders:
            raise not_found("run")
        return folders[name]

    @router.get(
        "/runs",
        summary="Runs and comparisons that this server was started with",
        response_class=Response,
        responses=answers(200, "A line for each"),
    )
    async def runs() -> Response:
        lines = [await run_in_threadpool(line_of, name, folder) for name, folder in folders.items()]
        return json_answer(lines)

    @router.get(
        "/runs/{name}",
        summary="Learning curves, evaluations, results of a comparison",
        response_class=Response,
        responses=answers(200, "All that is known of one", 404, 422),
    )
    async def run(name: str) -> Response:
        return json_answer(await run_in_threadpool(detail_of, name, folder_of(name)))

    @router.get(
        "/runs/{name}/report",
        summary="The report of a comparison, a page to be saved",
        response_class=Response,
        responses=answers(200, "The page", 404, 422, media_type="text/html"),
    )
    async def report(name: str) -> Response:
        content = await run_in_threadpool(report_of, folder_of(name))
        if content is None:
            raise not_found("report")
        headers = {"Content-Disposition": 'attachment; filename="report.html"'}
        return Response(content, 200, headers, "text/html; charset=utf-8")

    return router


__all__ = ["runs_router"]
