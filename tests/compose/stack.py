"""The container platform as its users drive it: docker compose, Airflow's REST interface, the command line."""

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

import httpx

from storage.settings import PROJECT_DIR

T = TypeVar("T")

PROJECT = "liftoff-e2e"
IMAGE = f"{PROJECT}:local"
BASE_IMAGE = "python:3.13-slim-trixie"
ONE_SHOTS = {"secrets", "init"}
SERVERS = {"postgres", "upstream"}
THIRD_PARTY = "third-party"
AIRFLOW = {"api-server", "scheduler", "dag-processor", "triggerer"}
INGESTS = ("ingest_events", "ingest_warehouse", "ingest_market_data")
ENDED = {"success", "failed"}
MEBIBYTES = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2**10}

# Adds one new line to a day that was collected long ago: a copy of a valid one, under an id of its own.
FORGET = """
import gzip, json, sys, uuid
from storage.settings import load_settings
for day in sys.argv[1:]:
    folder = load_settings().events_dir / day
    for line in gzip.decompress((folder / "events-12.jsonl.gz").read_bytes()).splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event_name") == "app_ready" and event["user_id"] and event["occurred_at"].startswith(day):
            break
    else:
        sys.exit(f"{folder} has no line to copy")
    event["event_id"] = uuid.uuid4().hex
    unfinished = folder / "events-late.tmp"
    unfinished.write_bytes(gzip.compress(json.dumps(event).encode() + b"\\n"))
    unfinished.rename(folder / f"events-late-{event['event_id']}.jsonl.gz")
"""

# Compares the current release with what can be known: how many values, and the first of those that differ.
COMPARE = """
import json
from pathlib import Path
from liftoff.cli import warehouse_of
from simulator.verdict import compare
from storage.settings import load_settings
settings = load_settings()
verdicts = compare(warehouse_of(settings).current().database, settings.events_dir.parent / "truth" / "knowable")
print(json.dumps({one.name: [one.compared, one.differences.head(5).to_string()[:2000] * bool(len(one.differences))]
                  for one in verdicts}))
"""

# What the reader of the upstream warehouse sees: how many accounts changed on each day.
COUNT_UPSTREAM = """
import json
from ingestion.upstream import open_upstream
from storage.settings import load_settings
with open_upstream(load_settings().warehouse_uri) as upstream:
    question = "select changed_at::date::text, count(*) from business.account_changes group by 1 order by 1"
    print(json.dumps(dict(upstream.rows(question))))
"""

# Asks the current release, again and again, until its standard input is closed.
READ = """
import select, sys
from liftoff.cli import warehouse_of
from storage.engine import connect
from storage.settings import load_settings
settings = load_settings()
while not select.select([sys.stdin], [], [], 0.2)[0]:
    release = warehouse_of(settings).current()
    with connect(settings, release.database, read_only=True) as connection:
        connection.execute("select max(activity_date) from mart_active_users_daily").fetchall()
    print(release.id, flush=True)
"""


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float, every: float = 1) -> T:
    """Look until there is something to see.

    Raises:
        TimeoutError: there was nothing within so many seconds; says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:.0f} s for {what}")
        time.sleep(every)
    return seen


def free_port() -> int:
    """Where nobody listens on this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Stack:
    """The services of docker-compose.yml, under a project name and on a port of their own."""

    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, seconds: float = 120, check: bool = True) -> str:
        """What `docker compose ...` prints.

        Raises:
            AssertionError: it ended with an error, which the message holds.
            subprocess.TimeoutExpired: it did not end within so many seconds.
        """
        done = subprocess.run(
            _command(*arguments),
            cwd=PROJECT_DIR,
            env=self._environment(),
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
        shown = " ".join(arguments)[:80]
        assert not check or done.returncode == 0, f"{shown} ended with {done.returncode}: {done.stderr[-3000:]}"
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`docker compose ...`, beside us."""
        return subprocess.Popen(
            _command(*arguments),
            cwd=PROJECT_DIR,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, *options: str) -> float:
        """Build the image, and forget the one that it replaces unless someone uses it. Returns seconds."""
        replaced, began = self._image(), time.monotonic()
        self.compose("build", *options, seconds=900)
        seconds = time.monotonic() - began
        if replaced not in {self._image(), ""}:
            subprocess.run(["docker", "image", "rm", replaced], capture_output=True, check=False)
        return seconds

    def up(self) -> float:
        """Start everything, and wait until it is healthy. Returns seconds."""
        began = time.monotonic()
        self.compose("up", "--detach", "--wait", seconds=300)
        return time.monotonic() - began

    def remove(self) -> None:
        """Take away all that there is of the project, its volumes included."""
        self.compose("--profile", "cli", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine knows of each service's container."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found = docker("inspect", *ids) if ids else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in found}

    def volumes(self) -> list[str]:
        """The names of the volumes that the project has."""
        label = f"label=com.docker.compose.project={PROJECT}"
        listed = subprocess.run(
            ["docker", "volume", "ls", "--quiet", "--filter", label], check=True, capture_output=True, text=True
        )
        return listed.stdout.split()

    def secrets(self) -> dict[str, str]:
        """Each secret by its name: passwords, keys and the salt, without what stands around them."""
        script = "cd /secrets && for name in *; do printf '%s ' $name; tr '\\n' ' ' <$name; echo; done"
        files = dict(line.split(" ", 1) for line in self.run_in("scheduler", "sh", "-c", script).splitlines())
        return {name: word for name, text in files.items() for word in re.findall(r"[\w=-]{16,}", text)}

    def password(self) -> str:
        """How the README says to find it."""
        return str(json.loads(self.run_in("api-server", "cat", "/secrets/ui_passwords.json"))["admin"])

    def run_in(self, service: str, *command: str, seconds: float = 60, check: bool = True) -> str:
        """What a command prints inside a service."""
        return self.compose("exec", "-T", service, *command, seconds=seconds, check=check)

    def liftoff(self, *arguments: str) -> Any:
        """What the command line answers inside the scheduler, as data."""
        return json.loads(self.run_in("scheduler", "liftoff", *arguments, "--json"))

    def release(self) -> dict[str, Any]:
        """The manifest of the release that readers see."""
        return next(release for release in self.liftoff("releases") if release["is_current"])

    def accepted(self, days: Sequence[date]) -> dict[str, int]:
        """How many events of each landing day the current release was made from."""
        listed = ", ".join(f"'{day}'" for day in days)
        rows = self.liftoff(
            "query",
            f"select day, accepted from meta.ingest where source = 'events' and day in ({listed}) "
            "and status = 'accepted' qualify row_number() over (partition by day order by started_at desc) = 1",
        )
        return {row["day"]: row["accepted"] for row in rows}

    def verdicts(self) -> dict[str, tuple[int, str]]:
        """Of each frame of the truth: how many published values were compared, and which differ."""
        found = json.loads(self.run_in("scheduler", "python", "-c", COMPARE))
        return {name: (compared, differing) for name, (compared, differing) in found.items()}

    def account_changes(self) -> dict[str, int]:
        """How many accounts changed on each day, as the upstream warehouse shows it to its reader."""
        return dict(json.loads(self.run_in("scheduler", "python", "-c", COUNT_UPSTREAM)))

    def fault(self, *arguments: str) -> str:
        """Switch a fault of the third-party services on or off."""
        return self.run_in(THIRD_PARTY, "python", "-m", "simulator.switch", *arguments)

    def forget(self, *days: date) -> None:
        """Let the collector deliver, for each of these days, a file that it had forgotten, with one new event."""
        self.run_in("scheduler", "python", "-c", FORGET, *map(str, days))

    @contextmanager
    def reading(self) -> Iterator[list[str]]:
        """A reader beside all else, who asks several times a second. Fills a list with the releases that answered."""
        answers: list[str] = []
        reader = self.start("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", "liftoff", "-c", READ)
        assert reader.stdin
        assert reader.stdout
        listening = threading.Thread(target=lambda: answers.extend(map(str.strip, reader.stdout or ())), daemon=True)
        listening.start()
        try:
            wait_for("a first answer to the reader", lambda: answers or reader.poll() is not None, seconds=60)
            yield answers
            reader.stdin.close()
            assert reader.wait(30) == 0, (
                f"A reader was left without an answer: {reader.stderr and reader.stderr.read()}"
            )
            listening.join(10)
        finally:
            reader.kill()

    def _image(self) -> str:
        listed = subprocess.run(
            ["docker", "image", "ls", "--quiet", "--no-trunc", IMAGE], check=True, capture_output=True, text=True
        )
        return listed.stdout.strip()

    def _environment(self) -> dict[str, str]:
        ours = ("LIFTOFF_", "COMPOSE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return inherited | {"LIFTOFF_UI_PORT": str(self.port)}


@dataclass
class Airflow:
    """Airflow's REST interface, to someone who logged in."""

    client: httpx.Client

    @classmethod
    def log_in(cls, url: str, password: str) -> "Airflow":
        """As `admin`.

        Raises:
            httpx.HTTPStatusError: the password is wrong.
        """
        answer = httpx.post(f"{url}/auth/token", json={"username": "admin", "password": password}, timeout=30)
        token = answer.raise_for_status().json()["access_token"]
        return cls(httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30))

    def get(self, path: str, **parameters: Any) -> Any:
        """The answer to a question, below `/api/v2`."""
        return self.client.get(f"/api/v2/{path}", params=parameters).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        """The answer to a request, below `/api/v2`."""
        return self.client.post(f"/api/v2/{path}", json=body).raise_for_status().json()

    def trigger(self, dag_id: str, *, partition_key: str | None = None, **form: Any) -> str:
        """Trigger a run with a form. Returns its id."""
        body = {"logical_date": None, "conf": form, "partition_key": partition_key}
        return str(self.post(f"dags/{dag_id}/dagRuns", **body)["dag_run_id"])

    def runs(self, dag_id: str, key: date | None = None) -> list[dict[str, Any]]:
        """The runs of a DAG, the newest first: all, or those of one partition."""
        runs = self.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)["dag_runs"]
        return [run for run in runs if key is None or run["partition_key"] == str(key)]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run, as it is now."""
        return dict(self.get(f"dags/{dag_id}/dagRuns/{run_id}"))

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """The tasks of a run."""
        found = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """How far each task of a run is."""
        return {name: task["state"] for name, task in self.tasks(dag_id, run_id).items()}

    def wait(self, dag_id: str, run_id: str, *, seconds: float = 180) -> dict[str, Any]:
        """Wait until a run has ended."""

        def ended() -> dict[str, Any] | None:
            run = self.run(dag_id, run_id)
            return run if run["state"] in ENDED else None

        return wait_for(f"the end of {run_id} of {dag_id}", ended, seconds=seconds)

    def succeed(self, dag_id: str, *, seconds: float = 180, **form: Any) -> str:
        """Trigger a run, and see it succeed. Returns its id."""
        run_id = self.trigger(dag_id, **form)
        state = self.wait(dag_id, run_id, seconds=seconds)["state"]
        assert state == "success", f"{dag_id} ended as {state}: {self.states(dag_id, run_id)}"
        return run_id

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The log of a task's last attempt, a line an event."""
        number = self.tasks(dag_id, run_id)[task_id]["try_number"]
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{number}"
        return "\n".join(line["event"] for line in self.get(path)["content"])


@contextmanager
def watching_memory() -> Iterator[dict[str, float]]:
    """Fills a mapping with the peak of each service of the project, and of their sum (`all`), in MiB."""
    peaks: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            used = _memory()
            for name, mebibytes in (used | {"all": sum(used.values())}).items():
                peaks[name] = max(mebibytes, peaks.get(name, 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def docker(*arguments: str) -> Any:
    """What `docker ...` answers, as data."""
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)


def seconds_of(run: dict[str, Any]) -> float:
    """From the trigger to the end of a run."""
    began, ended = (datetime.fromisoformat(run[name]) for name in ("queued_at", "end_date"))
    return (ended - began).total_seconds()


def _memory() -> dict[str, float]:
    row = "{{.Name}} {{.MemUsage}}"
    done = subprocess.run(
        ["docker", "stats", "--no-stream", "--format", row], check=False, capture_output=True, text=True, timeout=60
    )
    found = re.findall(rf"^{PROJECT}-([a-z-]+)-1 ([\d.]+)(\w+) /", done.stdout, re.MULTILINE)
    return {service: float(number) * MEBIBYTES[unit] for service, number, unit in found}


def _command(*arguments: str) -> list[str]:
    """The developer's .env is left out: the figures and the answers are those of the defaults."""
    return ["docker", "compose", "--env-file", os.devnull, "--project-name", PROJECT, *arguments]
