r"""Counter-based randomness: every random number is a pure function of (seed, stream, draw, chain, unit).

Philox4x32 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011) maps a 128-bit
counter and a 64-bit key to four 32-bit words.  There is no state that threads, chunks of chains or devices could
disturb: whoever needs the number for one unit of one chain computes it.

The layout of the counter is part of the file format of a run, since resuming replays it:

====  ==========================================================================
word  meaning
====  ==========================================================================
c0    ``unit // 4``; output word ``unit % 4`` belongs to the unit
c1    chain
c2    draw, a running number inside the stream (half-steps of a sampler)
c3    stream: CRC-32 of the stream's name
key   the 64 bits of the seed, low word first
====  ==========================================================================

Rounds: ten.  Seven already pass TestU01's BigCrush (table 2 of the paper).  Ten take about 0.35 ns a unit and core,
an eighth of a Gibbs sweep of the fastest engine at M = 500 on Zen 4, a sixth where a matrix unit multiplies, and less
for larger models, so that seven would gain 5 % at most.  That is too little to give up the authors' safety margin, and
ten is what cuRAND, PyTorch and Triton compute.

Uniform numbers keep 23 bits and sit in the middle of their cell, ``u = (2 (bits >> 9) + 1) / 2**24``: exact in
float32, strictly inside (0, 1), symmetric about 1/2, so that the probability of ``u < p`` is p rounded to the
nearest multiple of ``2**-23`` without bias.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rbmscape.checks import is_whole, shown
from rbmscape.errors import InputError

__all__ = ["MULTIPLIERS", "ROUNDS", "WEYL", "Stream", "philox4x32", "uniform_from_bits"]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_WORDS = 4


def _multiply(factor: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of factor · word; the int64 product may wrap, its 64 bits are right all the same."""
    product = factor * word
    return (product >> 32) & _MASK, product & _MASK


def philox4x32(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int], rounds: int = ROUNDS
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32 on any device.

    Parameters
    ----------
    counter : four int64 tensors that broadcast together, entries in [0, 2**32)
    key : two integers in [0, 2**32)
    rounds : 10 everywhere in this package; 7 for comparison

    Returns
    -------
    four int64 tensors of the broadcast shape (for two rounds or more), entries in [0, 2**32)
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        high0, low0 = _multiply(MULTIPLIERS[0], c0)
        high1, low1 = _multiply(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & _MASK, (k1 + WEYL[1]) & _MASK
    return c0, c1, c2, c3


def uniform_from_bits(bits: Tensor) -> Tensor:
    """float32 in (0, 1) from int64 words in [0, 2**32): the middle of one of 2**23 equal cells."""
    return ((bits >> 8) | 1).to(torch.float32) * 2.0**-24


def _checked(value: int, bits: int, what: str) -> int:
    if not is_whole(value):
        raise InputError(f"{what} must be an integer, found {shown(value)}; pass one in [0, 2**{bits})")
    if not 0 <= int(value) < 2**bits:
        raise InputError(f"{what} must lie in [0, 2**{bits}), found {shown(value)}")
    return int(value)


@dataclass(frozen=True, slots=True)
class Stream:
    """A named source of random numbers under one seed.

    Parameters
    ----------
    seed : 64-bit key, shared by all streams of a computation
    name : what the numbers are for; streams of different names are independent (unless their CRC-32 collide)

    Raises
    ------
    InputError : the seed is not an integer in [0, 2**64)
    """

    seed: int
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _checked(self.seed, 64, "seed"))

    @property
    def id(self) -> int:
        """CRC-32 of the name: word c3 of the counter."""
        return zlib.crc32(self.name.encode())

    @property
    def key(self) -> tuple[int, int]:
        """Low and high word of the seed."""
        return self.seed & _MASK, self.seed >> 32

    def child(self, name: str) -> Stream:
        """The stream ``parent/name`` under the same seed."""
        return Stream(self.seed, f"{self.name}/{name}")

    def bits(
        self,
        draw: int,
        n_chains: int,
        n_units: int,
        first_chain: int = 0,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Raw words of one draw.

        Parameters
        ----------
        draw : number of the draw in this stream, in [0, 2**32)
        n_chains, n_units : shape of the result
        first_chain : number of the chain in row 0, so that a part of the chains gets the numbers it has in the whole

        Returns
        -------
        (n_chains, n_units) int64, entries in [0, 2**32)

        Raises
        ------
        InputError : draw is outside its range
        """
        draw = _checked(draw, 32, "draw")
        groups = torch.arange(-(-n_units // _WORDS), dtype=torch.int64, device=device)
        chains = torch.arange(first_chain, first_chain + n_chains, dtype=torch.int64, device=device)
        fixed = torch.tensor([draw, self.id], dtype=torch.int64, device=device)
        words = philox4x32((groups[None, :], chains[:, None], fixed[0], fixed[1]), self.key)
        return torch.stack(words, dim=-1).reshape(n_chains, -1)[:, :n_units].contiguous()

    def uniform(
        self,
        draw: int,
        n_chains: int,
        n_units: int,
        first_chain: int = 0,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """(n_chains, n_units) float32 uniform on (0, 1); see `bits` for the arguments."""
        return uniform_from_bits(self.bits(draw, n_chains, n_units, first_chain, device))

    def numpy(self, draw: int = 0) -> np.random.Generator:
        """NumPy generator keyed by (seed, stream, draw), for shuffles, initial values and resampling.

        It is NumPy's own Philox4x64, so its numbers are unrelated to those of `bits`.
        """
        low = (self.id << 32) | _checked(draw, 32, "draw")
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, low], dtype=np.uint64)))
