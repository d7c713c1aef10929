"""What a replay will take, told before it is taken, and refused where there is not so much."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from launch.checkpoint import KEPT
from launch.replay.disk import WASTE
from launch.replay.store import Store

GIB = 1 << 30
SHARE = 0.9  # Of memory and disk that may be taken; the rest is for everything else.
CGROUPS = Path("/sys/fs/cgroup")


class TooLarge(ValueError):
    """The machine has less than the replay would take."""


class Announcement:
    """Says once what a store will take."""

    def __init__(self, rows: int, say: Callable[[str], None]):
        """Remembers.

        Args:
            rows: that the run can fill at most, all streams.
            say: shows a line to the user.
        """
        self.rows, self.say = rows, say

    def make(self, row: int, latent: int, store: Store) -> None:
        """Says what rows and their latents, of so many bytes each, will take.

        Raises:
            TooLarge: the machine has less; nothing was taken.
        """
        mapped, folder = store.disk.mapped, store.disk.folder
        needs = {"disk": (on_disk(row, latent, mapped), disk_bytes(folder))}
        if not mapped:
            needs = {"memory": (row + latent, memory_bytes())} | needs
        told = " and ".join(
            f"{self.rows * each / GIB:.1f} GiB of {have / GIB:.1f} ({where})"
            for where, (each, have) in needs.items()
        )
        text = (
            f"replay: 1M rows = {1_000_000 * (row + latent) / GIB:.1f} GiB; this run needs {told}"
        )
        short = [where for where, (each, have) in needs.items() if self.rows * each > SHARE * have]
        if short:
            fits = min(int(SHARE * have / each) for each, have in needs.values())
            hints = [f"--set training.capacity={fits} fits"]
            if latent:
                hints.append("training.latents=compact takes half of what exact latents take")
            if short == ["memory"]:
                hints.append("training.storage=mapped keeps it on the disk")
            raise TooLarge(f"{text}: too much. Nothing was taken. {'; '.join(hints)}.")
        self.say(text)


def on_disk(row: int, latent: int, mapped: bool) -> int:
    """Returns how many bytes of files a row takes at most.

    Of latents, each checkpoint that is kept holds its own, and the newest some old ones too.
    """
    return row + (KEPT + WASTE + mapped) * latent


def memory_bytes() -> int:
    """Returns how much memory this process may take: the machine's, or its control group's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(Path("/proc/self/cgroup"), CGROUPS)])


def disk_bytes(folder: Path) -> int:
    """Returns how much may be written under a folder, what lies there already included."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    held = sum(path.stat().st_blocks * 512 for path in folder.glob("*.bin"))
    return shutil.disk_usage(there).free + held


def _limits(membership: Path, root: Path) -> list[int]:
    """Returns the memory limits of this process's control group and the groups above it."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        base = root / "memory" if kinds else root
        name = "memory.limit_in_bytes" if kinds else "memory.max"
        group = base / path.strip("/")
        # In a container the path may be the host's; the root is then the group's own.
        for folder in (group, *group.parents):
            if folder != base and base not in folder.parents:
                break
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                found.append(int(text))
    return found
