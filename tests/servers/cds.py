"""A Climate Data Store on 127.0.0.1: the part of its protocol that `cdsapi` 0.7 uses.

Written from the client (ecmwf.datastores: catalogue, processes, jobs, results) and from answers
of the store that users quote: OGC API Processes, errors as problem details (RFC 9457).
"""

import json
import re
from dataclasses import dataclass, field

from .http_files import Fault, Handler, LocalServer

KEY = "3f1c9a52-secret-key-of-the-test"


@dataclass
class Job:
    """A request in the queue; each question about its state takes the next of `states`."""

    number: str
    request: dict
    states: list[str] = field(default_factory=list)

    def state(self) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


class CdsServer(LocalServer):
    """Store with one answer for every request.

    `states` are what a new job goes through; `reason` is why it failed; `faults` hit the API,
    `asset_faults` the download of the result.
    """

    def __init__(self):
        super().__init__(_CdsHandler)
        self.key = KEY
        self.states = ["accepted", "running", "successful"]
        self.reason = "The job failed with: MultiAdaptorNoDataError"
        self.refusal: tuple[int, str, str] | None = None  # status, title, detail of a submission
        self.jobs: dict[str, Job] = {}
        self.asset_faults: list[Fault] = []
        self.expired = False

    def result_of(self, request: dict) -> bytes:
        """Content of the result; tests replace it."""
        raise NotImplementedError

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def paths(self, pattern: str) -> list[str]:
        """Requests that arrived, as "METHOD path", of a pattern."""
        every = [f"{hit.method} {hit.path.partition('?')[0]}" for hit in self.hits]
        return [text for text in every if re.search(pattern, text)]


class _CdsHandler(Handler):
    server: CdsServer

    def do_GET(self) -> None:
        self.record()
        path = self.path.partition("?")[0]
        if path.startswith("/cache/"):
            self.asset(path.rsplit("/", 1)[-1].removesuffix(".grib"))
            return
        if self.broken(self.server.fault()):
            return
        if path == "/api/catalogue/v1/messages":
            self.document(200, {"messages": []})
        elif self.authorised():
            self.get(path)

    def do_POST(self) -> None:
        self.record()
        if self.broken(self.server.fault()) or not self.authorised():
            return
        if not self.path.endswith("/execution"):
            self.problem(404, "process not found")
        elif self.server.refusal:
            self.problem(*self.server.refusal)
        else:
            number = f"job-{len(self.server.jobs) + 1}"
            inputs = json.loads(self.server.hits[-1].body)["inputs"]
            self.server.jobs[number] = Job(number, inputs, list(self.server.states))
            link = {"rel": "monitor", "href": f"{self.server.api}/retrieve/v1/jobs/{number}"}
            body = {"jobID": number, "status": "accepted", "type": "process", "links": [link]}
            self.document(201, body)

    def get(self, path: str) -> None:
        if re.fullmatch(r"/api/retrieve/v1/processes/reanalysis-era5-pressure-levels", path):
            self.document(200, {"id": path.rsplit("/", 1)[-1], "links": []})
            return
        found = re.fullmatch(r"/api/retrieve/v1/jobs/([\w-]+)(/results)?", path)
        job = self.server.jobs.get(found[1]) if found else None
        if job is None:
            self.problem(404, "not found", f"nothing at {path}")
        elif found[2]:
            self.results(job)
        else:
            self.status(job)

    def status(self, job: Job) -> None:
        state = job.state()
        here = f"{self.server.api}/retrieve/v1/jobs/{job.number}"
        links = [{"rel": "self", "href": here}]
        if state in ("successful", "failed", "rejected"):
            links.append({"rel": "results", "href": f"{here}/results"})
        self.document(200, {"jobID": job.number, "status": state, "links": links})

    def results(self, job: Job) -> None:
        state = job.states[0]
        if state in ("failed", "rejected"):
            self.problem(400, f"The job has {state}", traceback=self.server.reason)
            return
        content = self.server.result_of(job.request)
        asset = {
            "type": "application/x-grib",
            "href": f"{self.server.url}/cache/{job.number}.grib?X-Amz-Signature=signature-of-test",
            "file:size": len(content),
        }
        self.document(200, {"asset": {"value": asset}})

    def asset(self, number: str) -> None:
        faults = self.server.asset_faults
        fault = faults.pop(0) if faults else None
        if self.broken(fault):
            return
        if self.server.expired:
            self.server.expired = False
            self.answer(404, b"expired")
            return
        self.send_file(self.server.result_of(self.server.jobs[number].request), fault)

    def authorised(self) -> bool:
        if self.headers.get("PRIVATE-TOKEN") == self.server.key:
            return True
        self.problem(401, "operation not permitted", "authentication is required")
        return False

    def problem(self, status: int, title: str, detail: str = "", **more: str) -> None:
        url = f"{self.server.url}{self.path}"
        body = {"type": "about:blank", "title": title, "status": status, "instance": url} | more
        self.document(status, body | ({"detail": detail} if detail else {}))

    def document(self, status: int, body: dict) -> None:
        self.answer(status, json.dumps(body).encode(), Content_Type="application/json")
