"""Screens to observations: resizing and gray scale, exact to the published preprocessing.

Source: Pillow's BILINEAR (antialiased when it shrinks) is DreamerV3's; exact area averaging is
OpenCV's INTER_AREA, used by DQN-style preprocessing and envpool.
Shapes: h w screen, H W observation, C channels.
"""

from collections.abc import Callable
from math import ceil, gcd
from typing import Literal

import numpy as np
from PIL import Image

BAND = 8  # Target rows; from about this size on, bands beat one block.

Resize = Callable[[np.ndarray], np.ndarray]


def resizer(method: Literal["bilinear", "area"], size: tuple[int, int]) -> Resize:
    """Returns a function from (h, w) or (h, w, 3) uint8 screens to (H, W) or (H, W, 3) uint8."""
    if method == "bilinear":
        return lambda screen: bilinear(screen, size)
    return Area(size)


def bilinear(screen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes as Pillow does, with the filter widened by the scale when it shrinks."""
    image = Image.fromarray(screen)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


class Area:
    """Averages the source area of each target pixel, edges in proportion, rounded half to even.

    The weights repeat with period in / gcd(in, out), so each axis is one product of a small block
    instead of a dense (out, in) matrix: 210 to 84 rows is 42 blocks of 5 to 2.
    """

    def __init__(self, size: tuple[int, int]):
        """Prepares for a target of (H, W) pixels; the source may be of any shape."""
        self.size = size
        self.blocks: dict[tuple[int, int, int], tuple[int, np.ndarray]] = {}
        self.cut: dict[int, list[tuple[slice, slice, np.ndarray]]] = {}

    def __call__(self, screen: np.ndarray) -> np.ndarray:
        """Resizes one (h, w) or (h, w, 3) uint8 screen."""
        height, width = screen.shape[:2]
        image = self.down(screen.reshape(height, -1).astype(np.float32))
        channels = screen.shape[2] if screen.ndim == 3 else 1
        count, weight = self.block(width, self.size[1], channels)
        image = image.reshape(self.size[0] * count, -1) @ weight
        return np.rint(image).astype(np.uint8).reshape(*self.size, *screen.shape[2:])

    def down(self, image: np.ndarray) -> np.ndarray:
        """Resizes the rows of (h, w * C) to (H, w * C), float32."""
        count, weight = self.block(len(image), self.size[0], 1)
        if len(weight) < BAND:
            return np.matmul(weight.T, image.reshape(count, len(weight), -1))
        # A block this large is mostly zeros: bands of target rows that read what they cover.
        out = np.empty((self.size[0], image.shape[1]), np.float32)
        for target, source, part in self.bands(len(image)):
            np.matmul(part, image[source], out=out[target])
        return out

    def bands(self, height: int) -> list[tuple[slice, slice, np.ndarray]]:
        """Returns target rows, source rows and (target, source) weights of each band."""
        if height not in self.cut:
            scale, weights = height / self.size[0], area_weights(height, self.size[0])
            self.cut[height] = []
            for first in range(0, self.size[0], BAND):
                target = slice(first, min(first + BAND, self.size[0]))
                source = slice(int(target.start * scale), ceil(target.stop * scale))
                self.cut[height].append((target, source, weights[target, source].copy()))
        return self.cut[height]

    def block(self, source: int, target: int, channels: int) -> tuple[int, np.ndarray]:
        """Returns how often the block repeats, and its (source * C, target * C) weights."""
        key = source, target, channels
        if key not in self.blocks:
            count = gcd(source, target)
            weights = area_weights(source // count, target // count)
            self.blocks[key] = count, np.kron(weights.T, np.eye(channels, dtype=np.float32))
        return self.blocks[key]


def area_weights(source: int, target: int) -> np.ndarray:
    """Returns (target, source) float32 weights: the share of each source pixel, rows sum to one."""
    scale = source / target
    starts, pixels = np.arange(target)[:, None] * scale, np.arange(source)[None]
    overlap = np.minimum(starts + scale, pixels + 1) - np.maximum(starts, pixels)
    return (np.clip(overlap, 0, 1) / scale).astype(np.float32)


def gray(image: np.ndarray) -> np.ndarray:
    """Weighs (H, W, 3) to (H, W) with 0.299, 0.587 and the rest in float64, and truncates.

    Source: danijar/dreamerv3, after the resize; the third weight is 1 - (0.299 + 0.587).
    """
    return (image @ np.array([0.299, 0.587, 1 - (0.299 + 0.587)])).astype(np.uint8)


def push(image: np.ndarray, frame: np.ndarray) -> None:
    """Stacks (..., H, W, C) `frame` onto contiguous (..., H, W, C * stack) `image`, newest last.

    One move of the whole memory by C bytes puts every channel where it belongs but the newest,
    which is written next: 50 times as fast as moving the channels of each pixel.
    """
    flat, depth = image.reshape(-1), frame.shape[-1]
    flat[:-depth] = flat[depth:]
    image[..., -depth:] = frame
