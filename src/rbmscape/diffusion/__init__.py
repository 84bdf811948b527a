"""From the RBM to diffusion and bosons (section 4 of arXiv:2503.21536): constraint potential, mean field, dynamics."""
