"""From radiance to gray levels: optics, gain control, noise and the flaws of the detector."""

from dataclasses import dataclass

import cv2
import numpy as np

from .fields import Field, Rng, Shape, blur, fractal, pixel_grid


@dataclass(frozen=True)
class Frame:
    """A background as the camera shows it.

    Attributes:
        gray: gray levels, float32 (H, W), 0 to 255.
        noise: standard deviation of the sensor noise, gray levels.
        blur: standard deviation of the optics' blur, px.
    """

    gray: Field
    noise: float
    blur: float


def expose(rng: Rng, radiance: Field, shape: Shape, noise: tuple[float, float]) -> Frame:
    """Show a radiance field as a frame of the given shape, enlarging it where they differ.

    Args:
        rng: source of randomness.
        radiance: scene on the detector's own grid, (h, w).
        shape: (H, W) of the frame.
        noise: range of the noise's standard deviation, gray levels; drawn log-uniformly.
    """
    zoom = shape[0] / radiance.shape[0]
    optics = rng.uniform(0.4, 0.9)
    gray = _gain_control(rng, _vignette(rng, blur(radiance, optics)))
    sigma = float(np.exp(rng.uniform(*np.log(noise))))
    gray = gray + _noise(rng, gray.shape, sigma)
    if zoom > 1:
        how = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        gray = cv2.resize(gray, shape[::-1], interpolation=how)
    elif rng.random() < 0.4:
        _bad_pixels(rng, gray)
    return Frame(np.clip(gray, 0, 255), sigma, optics * zoom)


def _vignette(rng: Rng, radiance: Field) -> Field:
    """The radiance, darker towards the corners."""
    rows, columns = pixel_grid(radiance.shape)
    height, width = radiance.shape
    radius = (2 * rows / height - 1) ** 2 + (2 * columns / width - 1) ** 2
    return radiance * (1 - rng.choice([0.0, 0.02, 0.06]) * radius)


def _gain_control(rng: Rng, radiance: Field) -> Field:
    """Linear map to gray levels: flat scenes stay flat, some frames saturate."""
    low, middle, high = np.percentile(radiance[::2, ::2], [0.5, 50, rng.uniform(97, 99.7)])
    gain = min(rng.uniform(90, 240) / max(high - low, 1e-3), rng.uniform(150, 500))
    saturating = rng.random() < 0.12
    if saturating:
        gain *= rng.uniform(1.3, 2.5)
    level = float(np.clip(rng.normal(105, 38), 15, 215))
    if not saturating:
        level = max(level, (middle - low) * gain + 2)
        level = min(level, 250 - (high - middle) * gain)
    return (radiance - np.float32(middle)) * np.float32(gain) + np.float32(level)


def _noise(rng: Rng, shape: Shape, sigma: float) -> Field:
    """White and correlated noise, column and row patterns."""
    white = rng.standard_normal(shape, dtype=np.float32)
    share = rng.uniform(0, 0.6)
    noise = sigma * ((1 - share) ** 0.5 * white + share**0.5 * fractal(rng, shape, 1.0))
    columns, rows = rng.choice([0.0, 0.2, 0.6], 2, p=[0.5, 0.35, 0.15]) * sigma
    noise += columns * rng.standard_normal((1, shape[1]), dtype=np.float32)
    noise += rows * rng.standard_normal((shape[0], 1), dtype=np.float32)
    return noise


def _bad_pixels(rng: Rng, gray: Field) -> None:
    """A few dead or hot pixels: one pixel each, without blur, and never labelled."""
    number = rng.poisson(3)
    rows, columns = rng.integers(0, gray.shape, (number, 2)).T
    gray[rows, columns] += rng.choice([-1, 1], number) * rng.uniform(15, 90, number)


def digitise(rng: Rng, gray: Field) -> np.ndarray:
    """8 bit; one frame in six went through lossy compression, as many public frames did."""
    image = np.clip(np.rint(gray), 0, 255).astype(np.uint8)
    if rng.random() < 1 / 6:
        quality = int(rng.integers(70, 96))
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    return image
