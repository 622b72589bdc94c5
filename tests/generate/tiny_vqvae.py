"""The smallest networks that are a time_vqvae."""

NETWORKS = {
    "draft": "none",
    "n_fft": 8,
    "hidden": 8,
    "res_blocks": 1,
    "code_dim": 4,
    "lf_codes": 8,
    "hf_codes": 6,
    "lf_halvings": 2,
    "hf_halvings": 1,
    "reconstruction_bound": 5.0,
}
