r"""The ladder of training in equilibrium: frozen models of a training as the sampler of its own training.

Method: Béreux, Decelle, Furtlehner and Seoane, arXiv:2607.27077 (2026), changed where noted.  Frozen models θ_0
(independent units, exact ln Z), θ_1, … θ_c of this training are the rungs.  Each keeps a reservoir of states in
equilibrium; the present model θ has the training's chains.

What moves
----------
Exchange (`exchange`), at every update.  A chain v of θ is offered a state r of the newest reservoir and takes a copy of
it with probability ``min(1, w(r) / w(v))``, ``w = exp(F_c - F)``: an independence sampler with θ_c as the proposal.
The chain's own state is dropped, *not* exchanged into the reservoir as in the paper: chains lag behind a model that
moves, by what the last gradients pushed them away from where they stood, and a reservoir that takes them in forgets a
mode whenever all chains leave it.  The mean acceptance tells how far θ is from θ_c.

Sweep (`sweep`), every few updates.  All reservoirs together are replicas of parallel tempering between *fixed* models:
a Gibbs step each, fresh independent states on the lowest rung, and Metropolis exchanges between neighbours.  Whatever a
freeze got wrong, for instance a mode that all chains had left, comes back from below, and each sweep adds to the
estimates of ln Z.

Freeze (`freeze`), where the acceptance falls below a threshold.  The chains go on at the present model, with exchanges,
until nested R-hat, effective sample size, drift and 20 times the measured autocorrelation time say that they are
thermalised; then the new reservoir is collected, spaced by that time, and linked to the last rung by Bennett's
acceptance ratio (`link`).

Control (`control`).  A model after which the acceptance is too small, that cannot be thermalised, or in which data have
lost weight that they had (an excursion) is taken back to the last rung, the rate is halved.

Errors
------
Chains and reservoirs are split into independent groups: exchanges, sweeps and freezes stay within a group.  The
influence of each group on every ratio of partition functions is added along the ladder before it is squared, so that
correlations in time, between rungs and through copies are in the error, which never falls along the ladder.  What all
groups share, the models, is given.

Verdict
-------
`verdict` gathers at every checkpoint what speaks against the estimate of ln Z, in the words of
`rbmscape.sampling.verdict` and `rbmscape.likelihood.bracket`, and adds audits that do not depend on the ladder: a
likelihood above the data's own entropy bound, and data that after some Gibbs steps of the model stand where the
reservoir has nothing.

Shapes: chains (C, N), reservoirs (G, n, N) with G groups, uint8 entries 0 or 1; chain i belongs to group i mod G.
Randomness comes from counter streams alone; the state is made of tensors.
"""
