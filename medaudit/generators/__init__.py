"""Diffusion models: networks, the EDM denoiser, training, sampling, loading. Torch lives here."""
