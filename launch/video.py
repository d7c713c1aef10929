"""Where pictures of play go: an mp4 file, or a window.

Both take one picture a frame and are context managers.

Shapes: H W picture.
"""

import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from PIL import Image

RATE = 60  # Frames a second of the emulator.
QUALITY = "18"  # x264's constant rate factor: 23 is its default, 18 looks lossless.
THREADS = 4  # At most, of the encoder.
BEHIND_S = 0.1  # A window that is later than this leaves pictures out,
LEFT_OUT = 5  # but not more than this many in a row: on a slow machine it is slow, not frozen.


class Closed(Exception):
    """The person has closed the window."""


class Show(Protocol):
    """Takes pictures in the order of time."""

    def show(self, picture: np.ndarray) -> None:
        """Takes one (H, W, 3) uint8 picture; H and W are even.

        Raises:
            Closed: nobody looks any more.
        """


class Video:
    """Writes H.264 in mp4, which browsers and editors read; the file appears when it is whole."""

    def __init__(self, path: Path, rate: int = RATE, quality: str = QUALITY):
        """Waits for the first picture, which sets the size.

        Args:
            path: of the file.
            rate: pictures a second.
            quality: x264's constant rate factor.
        """
        self.path, self.aside = path, path.with_name(f"{path.name}.part{os.getpid()}")
        self.rate, self.quality = rate, quality
        self.container = self.stream = None

    def __enter__(self) -> Self:
        """Creates the file.

        Raises:
            ValueError: it cannot be written.
        """
        import av

        av.logging.set_level(av.logging.ERROR)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The index first, so that a browser need not read to the end.
            options = {"movflags": "+faststart"}
            self.container = av.open(str(self.aside), "w", format="mp4", options=options)
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror})") from error
        return self

    def show(self, picture: np.ndarray) -> None:
        """Adds one picture."""
        import av

        if self.stream is None:
            self.stream = self._stream(picture)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        # Players take high pictures for BT.709; the encoder's stream says so too.
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        self.container.mux(self.stream.encode(frame))

    def _stream(self, picture: np.ndarray) -> object:
        options = {
            "crf": self.quality,
            "preset": "veryfast",
            "tune": "animation",
            "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709",
        }
        stream = self.container.add_stream("libx264", rate=self.rate, options=options)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, self.rate)
        stream.thread_count = min(THREADS, os.cpu_count() or 1)
        return stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Ends the file and puts it in its place, or removes it after an error."""
        try:
            if kind is None and self.stream is not None:
                self.container.mux(self.stream.encode(None))
            self.container.close()
            if kind is None:
                self.aside.replace(self.path)
        finally:
            self.aside.unlink(missing_ok=True)


class Window:
    """Shows pictures at their speed; needs tkinter and a screen."""

    def __init__(
        self,
        title: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """Waits to be entered.

        Args:
            title: of the window.
            clock: seconds.
            sleep: waits for seconds.
        """
        self.title, self.clock, self.sleep = title, clock, sleep
        self.due: float | None = None
        self.left_out = 0  # In a row.

    def __enter__(self) -> Self:
        """Opens the window.

        Raises:
            ValueError: there is no screen or no tkinter.
        """
        try:
            import tkinter
        except ImportError:
            raise ValueError(
                "--window: this Python has no tkinter (Debian and Ubuntu: apt-get install "
                "python3-tk); leave --window out for a video"
            ) from None
        try:
            self.root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ValueError(
                f"--window: there is no screen here ({error}); leave --window out for a video"
            ) from None
        self.root.title(self.title)
        self.root.resizable(False, False)
        self.open = True
        self.root.protocol("WM_DELETE_WINDOW", self._close)
        for key in ("<Escape>", "q"):
            self.root.bind(key, lambda event: self._close())
        self.label = tkinter.Label(self.root, borderwidth=0)
        self.label.pack()
        self.image = None
        return self

    def show(self, picture: np.ndarray) -> None:
        """Shows one picture when its time has come; leaves it out when that has passed."""
        from PIL import ImageTk

        now = self.clock()
        due = now if self.due is None else max(self.due, now - 2 * BEHIND_S)
        self.due = due + 1 / RATE
        late = now - due > BEHIND_S and self.left_out < LEFT_OUT
        self.left_out = self.left_out + 1 if late else 0
        if not late:
            self.sleep(max(0.0, due - now))
            if self.image is None:
                self.image = ImageTk.PhotoImage(Image.fromarray(picture), master=self.root)
                self.label.configure(image=self.image)
            self.image.paste(Image.fromarray(picture))
        self.root.update()
        if not self.open:
            raise Closed

    def _close(self) -> None:
        self.open = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Closes the window."""
        self.root.destroy()
