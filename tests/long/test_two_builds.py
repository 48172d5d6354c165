"""Two command-line runs at once: one publishes, the other stops, names the winner, and its retry is right."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.launch import Loaded, NewPlatform, assert_same, day

# The slower of the two waits, with its build audited, until the other has published.
SLOW_RUN = """
import sys, time
from pathlib import Path
from liftoff import cli
from storage.warehouse import Warehouse

publish, waiting = Warehouse.publish, Path(sys.argv.pop())
def publish_when_told(self, candidate, manifest):
    waiting.touch()
    while not self.root.joinpath("go").exists():
        time.sleep(0.05)
    return publish(self, candidate, manifest)

Warehouse.publish = publish_when_told
cli.main()
"""


def test_two_runs_at_once(new_platform: NewPlatform, loaded: Loaded, tmp_path: Path) -> None:
    platform = new_platform("platform", loaded((0, 1)))
    waiting = tmp_path / "waiting"
    slow = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, "run", "--start", str(day(2)), "--end", str(day(2)), str(waiting)],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not waiting.exists():
            assert slow.poll() is None, slow.communicate()
            time.sleep(0.1)
        quick = subprocess.run(
            [sys.executable, "-m", "liftoff.cli", "run", "--start", str(day(3)), "--end", str(day(3))],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert quick.returncode == 0, quick.stderr
        winner = platform.current()
        (platform.data_dir / "warehouse" / "go").touch()
        _, message = slow.communicate(timeout=120)
    finally:
        slow.kill()
    assert slow.returncode == 1
    assert winner.id in message.replace("\n", "")
    assert "run it again" in " ".join(message.split())
    assert platform.current() == winner

    platform.load(2, 2)
    after = platform.tables()
    undisturbed = new_platform("undisturbed", None)
    undisturbed.load(0, 3)
    assert_same(after, undisturbed.tables())
