"""Graphics processors of this machine, and how runs share them without asking each other.

A run holds a lock file of its device for as long as it lives; a killed run therefore gives its
device back by itself. Nothing here imports torch: counting devices must cost nothing.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from itertools import count as integers
from pathlib import Path


def visible() -> list[str]:
    """Lists the devices that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    if not (tool := shutil.which("nvidia-smi")):
        return []
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout
    return [str(n) for n, _ in enumerate(x for x in listed.splitlines() if x.startswith("GPU "))]


def claim(devices: list[str], folder: Path) -> str:
    """Takes the device with the fewest runs on it, until this process and its heirs are gone.

    The lock stays open on purpose, also over `exec`.

    Args:
        devices: names of devices, at least one.
        folder: where the lock files are, the same for all processes of the machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for sharer in integers():
        for device in devices:
            if _hold(folder / f"{device.replace('/', '_')}.{sharer}.lock"):
                return device
    raise AssertionError("unreachable: integers do not end")


def lock_folder() -> Path:
    """Names the folder of the locks: of this machine and user, since devices are a machine's."""
    return Path(tempfile.gettempdir()) / f"reverie-devices-{os.getuid()}"


def _hold(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    os.set_inheritable(handle, True)
    return True
