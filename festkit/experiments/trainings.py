"""One training of a table: what is trained, whatever images it is trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .profiles import Profile


@dataclass(frozen=True)
class Training:
    """A network at one size with one loss.

    Attributes:
        backbone: name of the network.
        size: side of its square input [px].
        loss: name of the loss.
        loss_options: options of the loss that differ from its defaults.
        options: further fields of ``TrainConfig``.
        start: the training whose weights it continues; None starts anew.

    Example:
        >>> Training("ACM", 128, "EEDM").name
        'acm-128-eedm'
    """

    backbone: str
    size: int
    loss: str
    loss_options: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    start: "Training | None" = None

    @property
    def name(self) -> str:
        """What is trained, for a folder."""
        parts = [f"{name}={value:g}" for name, value in self.loss_options.items()]
        return "-".join([self.backbone, str(self.size), self.loss, *parts]).lower()


def first_training(
    profile: Profile, backbone: str, size: int, loss: str = "EEDM", **loss_options: float
) -> Training:
    """A training that starts anew.

    Example:
        >>> from festkit.experiments import find_profile
        >>> first_training(find_profile("smoke"), "ACM", 128).options["epochs"]
        10
    """
    return Training(backbone, size, loss, loss_options, profile.options(backbone))


def further_training(profile: Profile, first: Training, size: int) -> Training:
    """The same at another size: continued at half the rate, or anew where the profile says so.

    Example:
        >>> from festkit.experiments import find_profile
        >>> smoke = find_profile("smoke")
        >>> training = further_training(smoke, first_training(smoke, "ACM", 128), 192)
        >>> training.start.size, training.options["epochs"]
        (128, 1)
    """
    if size == first.size:
        return first
    options = dict(first.options)
    if profile.further:
        options |= {"epochs": min(profile.further, options["epochs"])}
        options |= {"learning_rate": options["learning_rate"] / 2}
    start = first if profile.further else None
    return Training(first.backbone, size, first.loss, first.loss_options, options, start)
