"""blurdm: remove motion blur from photos with a latent Blur Diffusion Model."""

__version__ = "0.1.0"
