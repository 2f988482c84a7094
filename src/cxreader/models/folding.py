"""Batch normalisation folded into the convolution before it: the same function in evaluation mode, one pass less."""

from __future__ import annotations

import copy

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _NormsWhole(fx.Tracer):
    """Traces into blocks, but keeps every batch norm whole, timm's with its activation too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def folded(module: nn.Module) -> nn.Module:
    """A copy of `module` for evaluation, in which no batch norm follows a convolution (Jacob et al., CVPR 2018, section 3.2).

    What cannot be traced symbolically is answered as a plain copy: slower, and the same to the bit.
    """
    copied = copy.deepcopy(module).eval()
    try:
        graph = _NormsWhole().trace(copied)
    except Exception:  # noqa: BLE001 - a network with data-dependent control flow may raise anything while it is traced
        return copied
    traced = fx.GraphModule(copied, graph)
    modules = dict(traced.named_modules())
    for node in graph.nodes:
        norm, conv = _module(node, modules), _module(_source(node), modules)
        if type(conv) is not nn.Conv2d or not isinstance(norm, nn.BatchNorm2d) or len(node.args[0].users) > 1:
            continue
        _put(traced, node.args[0].target, fuse_conv_bn_eval(conv, norm))
        _put(traced, node.target, _rest(norm))
    traced.recompile()
    return traced.eval()


def _module(node: object, modules: dict[str, nn.Module]) -> nn.Module | None:
    return modules.get(str(node.target)) if isinstance(node, fx.Node) and node.op == "call_module" else None


def _source(node: fx.Node) -> object:
    return node.args[0] if node.args else None


def _rest(norm: nn.Module) -> nn.Module:
    """What a batch norm does after normalising: timm's carries an activation."""
    return nn.Sequential(
        *[m for m in (getattr(norm, name, None) for name in ("drop", "act")) if isinstance(m, nn.Module)]
    )


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(root.get_submodule(parent), name, module)
