"""Linear layers whose weights are stored as 8 or 4 bits and computed with as 16: a step for one token reads half or a
quarter of the bytes. In plain torch, so that the compiler merges unpacking and multiplication into one kernel, and so
that nothing but torch has to be installed. Rounding is to the nearest, by row (8 bits) or by group (4 bits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 128  # neighbouring weights that share a scale and an offset in 4 bits


def quantise(model: Any, bits: int) -> Any:
    """Replaces every linear layer of a model, in place and one by one. In 4 bits the head keeps 8: it is small, and
    decides between tokens. Layers that do not divide into groups keep 8 as well."""
    import torch

    eight, four = _layers()
    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear:
            fits = bits == 4 and module.in_features % GROUP == 0 and module is not model.lm_head
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], (four if fits else eight)(module))
    return model


def rounded_to_8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 of the weight's shape, and the scale of each row (rows, 1) in float32."""
    import torch

    weight = weight.float()
    scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
    return (weight / scale).round().to(torch.int8), scale


def rounded_to_4(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bytes (rows, groups, GROUP / 2), whose low bits are the group's first half; scales and offsets (rows, groups, 1)
    in float32."""
    import torch

    groups = weight.float().view(weight.shape[0], -1, GROUP)
    offset = groups.amin(2, keepdim=True)
    scale = (groups.amax(2, keepdim=True) - offset).clamp(min=1e-8) / 15
    steps = ((groups - offset) / scale).round().clamp(0, 15).to(torch.uint8)
    low, high = steps.chunk(2, dim=2)
    return low | (high << 4), scale, offset


def _layers() -> tuple[Any, Any]:
    """The two classes; made here because torch is imported only where it is used."""
    from torch import cat, nn
    from torch.nn.functional import linear

    class Linear8(nn.Module):
        weight: Tensor
        scale: Tensor

        def __init__(self, whole: nn.Linear) -> None:
            super().__init__()
            weight, scale = rounded_to_8(whole.weight.detach())
            self.register_buffer("weight", weight)
            self.register_buffer("scale", scale[:, 0].to(whole.weight.dtype))
            self.bias = whole.bias

        def forward(self, given: Tensor) -> Tensor:
            out = linear(given, self.weight.to(given.dtype)) * self.scale
            return out if self.bias is None else out + self.bias

    class Linear4(nn.Module):
        weight: Tensor
        scale: Tensor
        offset: Tensor

        def __init__(self, whole: nn.Linear) -> None:
            super().__init__()
            packed, scale, offset = rounded_to_4(whole.weight.detach())
            self.register_buffer("weight", packed)
            self.register_buffer("scale", scale.to(whole.weight.dtype))
            self.register_buffer("offset", offset.to(whole.weight.dtype))
            self.bias = whole.bias

        def forward(self, given: Tensor) -> Tensor:
            low = (self.weight & 15).to(given.dtype) * self.scale + self.offset
            high = (self.weight >> 4).to(given.dtype) * self.scale + self.offset
            if given.shape[:-1].numel() == 1:  # summed as it is unpacked
                parts = given.view(low.shape[1], 2, GROUP // 2)
                out = (low * parts[:, 0] + high * parts[:, 1]).sum((1, 2)).view(*given.shape[:-1], -1)
            else:
                out = linear(given, cat((low, high), 2).flatten(1))
            return out if self.bias is None else out + self.bias

    return Linear8, Linear4
