"""A device of its own whose tensors lie on the processor: what mixes devices, or reads one without asking, fails.

As on a GPU, ``numpy()`` and `numpy.asarray` of its tensors are refused, an operation takes tensors of one device and
numbers (tensors without axes), and only a tensor of the device is indexed by one.  It does not see kernels, streams,
memory, numbers of another chip, or pinned copies.
"""

from __future__ import annotations

import types

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "elsewhere"
_HERE_AND_THERE = ("aten.copy_", "aten._to_copy", "aten.index.Tensor", "aten.index_put", "aten._index_put")


def is_possible() -> bool:
    """Whether this torch lets Python add a device."""
    return hasattr(getattr(torch._C, "_acc", None), "register_python_privateuseone_device_guard")


def register() -> None:
    """Make the device known, once a process."""
    if hasattr(torch, NAME):
        return
    module = types.ModuleType(NAME)
    facts = {"is_available": True, "is_initialized": True, "_is_in_bad_fork": False, "device_count": 1}
    for name, value in (facts | {"current_device": 0, "_lazy_init": None}).items():
        setattr(module, name, lambda value=value: value)
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, module)
    register.kept = _guard(), _hooks()


def _guard():
    class Guard(torch._C._acc.DeviceGuard):
        def type_(self):
            return torch._C._autograd.DeviceType.PrivateUse1

    made = Guard()
    torch._C._acc.register_python_privateuseone_device_guard(made)
    return made


def _hooks():
    class Hooks(torch._C._acc.PrivateUse1Hooks):
        def is_available(self):
            return True

        def is_built(self):
            return True

        def has_primary_context(self, _index):
            return True

    made = Hooks()
    torch._C._acc.register_python_privateuseone_hook(made)
    return made


class There(torch.Tensor):
    """A tensor of the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        facts = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), device=torch.device(NAME, 0), **facts)

    def __init__(self, held):
        self.held = held

    def tolist(self):
        return self.held.tolist()

    def __getitem__(self, key):
        keys = tuple(
            torch.as_tensor(one) if isinstance(one, list | range | np.ndarray) else one
            for one in (key if isinstance(key, tuple) else (key,))
        )
        return super().__getitem__(keys if isinstance(key, tuple) else keys[0])

    @classmethod
    def __torch_dispatch__(cls, func, _types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _run(func, args, kwargs):
    name, tensors = str(func), [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    there = any(isinstance(one, There) for one in tensors)
    here = any(not isinstance(one, There) and one.dim() for one in tensors)
    if there and here and not name.startswith(_HERE_AND_THERE):
        raise RuntimeError(f"{name} of tensors on two devices")
    if name.startswith(_HERE_AND_THERE[2:]) and there and not isinstance(args[0], There):
        raise RuntimeError(f"{name}: a tensor of the processor is indexed by one of another device")
    device = kwargs.get("device")
    goes = there if device is None else torch.device(device).type == NAME
    goes = isinstance(args[0], There) if name.startswith("aten.copy_") else goes
    handed = dict(kwargs) | ({} if device is None else {"device": "cpu"})
    found = func(*_held(args), **_held(handed))
    return tree_map(lambda one: There(one) if isinstance(one, torch.Tensor) else one, found) if goes else found


def _held(values):
    return tree_map(lambda one: one.held if isinstance(one, There) else one, values)


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, _types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """What makes tensors, or changes shapes in place, beneath the reach of the other mode."""

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if getattr(func, "__name__", "") in ("matmul", "__matmul__") and [one.dim() for one in args] == [1, 2]:
            return (args[0][None] @ args[1])[0]
        return func(*args, **kwargs)


class present:
    """While this lasts the device works."""

    def __enter__(self):
        register()
        self.modes = _Dispatch(), _Functions()
        for mode in self.modes:
            mode.__enter__()
        return NAME

    def __exit__(self, *error):
        for mode in reversed(self.modes):
            mode.__exit__(*error)
