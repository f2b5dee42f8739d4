"""What the kit asks of a network, and the check of one that is not of the catalogue."""

import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from textwrap import shorten
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .._support.devices import is_out_of_memory
from .._support.errors import InputError
from . import backbone_name, in_catalogue, said_number

EXPECTED = (
    "A network takes (N, C, size, size) float32 and gives logits (N, 1, size, size), which the kit "
    "makes probabilities of: a tensor, or a list or tuple that begins with the main logits, or a "
    "dict that holds them as 'out'"
)

SQUASHING = {"sigmoid", "hardsigmoid", "_softmax", "tanh", "hardtanh", "clamp", "exp", "div"}
"""Operations of torch that end in [0, 1], or with which such an end is written by hand."""

LAYERS = {"convolution", "addmm", "mm", "bmm", "native_batch_norm", "_native_batch_norm_legit"}
"""Operations after which an earlier sigmoid counts no more: it was a gate inside the network."""

DRAWS = 8
"""Networks of other parameters whose outputs are looked at where the first lies in [0, 1]."""


def input_channels(backbone: nn.Module) -> int:
    """Channels a network takes: its attribute ``in_channels``, else the field's usual 3.

    Raises:
        ValueError: if the attribute is no whole number from 1 on.
    """
    return said_number(backbone, "in_channels", 3)


def own_copy(network: nn.Module) -> nn.Module:
    """A copy to work with, so that weights, mode, place and memory layout of the network stay.

    Raises:
        ValueError: if it is no network, or cannot be copied.

    Example:
        >>> own_copy(nn.Conv2d(3, 1, 1)).out_channels
        1
    """
    if not isinstance(network, nn.Module):
        raise InputError(
            f"expected the name of a backbone or a torch.nn.Module, got {type(network).__name__}"
        )
    try:
        return deepcopy(network)
    except Exception as error:  # such as tensors that a forward has left in it
        raise InputError(
            f"{backbone_name(network)} cannot be copied ({shorten(str(error), 200)}), and "
            "festkit works with a copy; pass a network that copy.deepcopy takes"
        ) from error


def device_of(backbone: nn.Module) -> torch.device:
    """The device of a network; without parameters the CPU."""
    return next(backbone.parameters(), torch.empty(0)).device


def main_logits(backbone: nn.Module, image: Tensor) -> Tensor:
    """What a network gives for images (N, C, H, W), without its further outputs: (N, 1, H, W).

    Raises:
        ValueError: if its output is none of the accepted forms, see :data:`EXPECTED`.

    Example:
        >>> main_logits(nn.Conv2d(1, 1, 1), torch.zeros(2, 1, 4, 6)).shape
        torch.Size([2, 1, 4, 6])
    """
    return _main(backbone, image, backbone(image))


def logits_of(backbone: nn.Module, image: Tensor) -> list[Tensor]:
    """All outputs to train, for images (N, C, H, W): logits (N, 1, H, W), the main ones first.

    Raises:
        ValueError: if its output is none of the accepted forms, see :data:`EXPECTED`, or one of
            its further outputs is no logits (N, 1, H, W).

    Example:
        >>> class Net(nn.Conv2d):
        ...     def forward(self, image):
        ...         return {"out": [super().forward(image)] * 2}
        >>> [tuple(logits.shape) for logits in logits_of(Net(1, 1, 1), torch.zeros(2, 1, 4, 6))]
        [(2, 1, 4, 6), (2, 1, 4, 6)]
    """
    output = backbone(image)
    wanted = _main(backbone, image, output).shape
    found = []
    for place, logits in _outputs(output):
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            raise InputError(
                f"{backbone_name(backbone)} gives {_told(output)} for images {tuple(image.shape)}: "
                f"{place} is {_told(logits)}, expected {tuple(wanted)}. Training takes the mean "
                "loss of all outputs; return logits of that size, or leave it out"
            )
        found.append(logits)
    return found


@torch.no_grad()
def check_network(backbone: nn.Module, size: int) -> None:
    """Show a network noise at its input size, and refuse what cannot detect.

    Args:
        backbone: in eval mode; one of the catalogue is known and passes at once.
        size: side of the square network input [px].

    Raises:
        ValueError: if the network fails, gives no logits (N, 1, size, size), or ends in a sigmoid,
            which applied twice would make every pixel a target. Where only its operations or
            only its values seem so, a warning says so.

    Example:
        >>> check_network(nn.Sequential(nn.Conv2d(3, 1, 1), nn.Sigmoid()).eval(), 32)
        Traceback (most recent call last):
        festkit._support.errors.InputError: Sequential ends in a sigmoid...
    """
    if in_catalogue(backbone):
        return
    name, channels = backbone_name(backbone), input_channels(backbone)
    noise = torch.randn((1, channels, size, size), generator=Generator().manual_seed(0))
    probe = (noise * torch.logspace(-1, 2, size)).to(device_of(backbone))  # from faint to glaring
    ends = _Ends()
    try:
        with ends:
            main = main_logits(backbone, probe)
    except InputError:
        raise
    except Exception as error:  # the network is not ours
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{name} fails for an image {tuple(probe.shape)}: {shorten(str(error), 200)}. "
            f"{EXPECTED}. A network that does not take {channels} channels says so in an attribute "
            "in_channels"
        ) from error
    low, high = main.aminmax()
    if not 0 <= low < high <= 1:
        return
    evidence = (id(main) in ends.squashed) + _stays_within(backbone, probe)
    if not evidence:
        return
    told = (
        f"ends in a sigmoid, or the like: its output lies in [0, 1], from {low:.3g} to "
        f"{high:.3g}. The kit expects logits and applies the sigmoid itself; with two of them "
        "every pixel would be a target. Return what comes before that sigmoid, or "
        "torch.logit(probability, 1e-6)"
    )
    if evidence == 2:
        raise InputError(f"{name} {told}")
    warnings.warn(f"{name} possibly {told}", stacklevel=3)


def _stays_within(backbone: nn.Module, probe: Tensor) -> bool:
    """Whether the output lies in [0, 1] whatever the parameters are, as that of a sigmoid does.

    Logits of a new network may lie there by chance. In each of several copies every parameter is
    multiplied by a normal random number, until the output of one lies elsewhere.
    """
    random = Generator().manual_seed(0)
    for _ in range(DRAWS):
        drawn = own_copy(backbone)
        for parameter in drawn.parameters():
            parameter.mul_(torch.randn(parameter.shape, generator=random).to(parameter))
        low, high = main_logits(drawn, probe).aminmax()
        if not 0 <= low <= high <= 1:
            return False
    return True


class _Ends(TorchDispatchMode):
    """Notes the tensors that a squashing operation gave, or later ones made of them, by identity.

    Attributes:
        squashed: these tensors by their id; kept, so that no other one gets the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.squashed: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removesuffix("_")  # in place or not
        inherited = name not in LAYERS and any(
            id(part) in self.squashed for part in tree_leaves(args)
        )
        if name in SQUASHING or inherited:
            given = (part for part in tree_leaves(result) if isinstance(part, Tensor))
            self.squashed |= {id(part): part for part in given}
        return result


def _main(backbone: nn.Module, image: Tensor, output: object) -> Tensor:
    """The main logits of an output of an accepted form."""
    logits = output.get("out") if isinstance(output, Mapping) else output
    if isinstance(logits, list | tuple) and logits:
        logits = logits[0]
    wanted = (len(image), 1, *image.shape[2:])
    if not isinstance(logits, Tensor) or logits.shape != wanted:
        raise InputError(
            f"{backbone_name(backbone)} gives {_told(output)} for images {tuple(image.shape)}, "
            f"expected {wanted}. {EXPECTED}"
        )
    return logits


def _outputs(output: object, place: str = "output") -> Iterator[tuple[str, object]]:
    """All outputs by their place within lists, tuples and dicts."""
    if isinstance(output, Mapping):
        yield from _outputs(output.get("out"), f"{place}['out']")
    elif isinstance(output, list | tuple):
        for index, part in enumerate(output):
            yield from _outputs(part, f"{place}[{index}]")
    else:
        yield place, output


def _told(output: object) -> str:
    """An output in a few words: shapes within their lists, tuples and dicts."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Mapping):
        return f"a dict of {', '.join(f'{name!r}: {_told(part)}' for name, part in output.items())}"
    if isinstance(output, list | tuple):
        return f"[{', '.join(map(_told, output))}]"
    return type(output).__name__
