"""Models and data of other tools: scikit-learn, rbms, RestrictedBoltzmannMachines.jl."""
