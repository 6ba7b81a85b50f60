"""Encoders: text in, unit vectors out."""

from synaptoroute_core.encoders.base import Encoder, encode_each, encode_texts
from synaptoroute_core.encoders.bundled import BundledEncoder
from synaptoroute_core.encoders.fastembed import FastEmbedEncoder
from synaptoroute_core.encoders.hashing import HashingEncoder

__all__ = [
    "BundledEncoder",
    "Encoder",
    "FastEmbedEncoder",
    "HashingEncoder",
    "encode_each",
    "encode_texts",
    "resolve_encoder",
]


def resolve_encoder(encoder: Encoder | str | None) -> Encoder:
    """The encoder that an argument stands for.

    Args:
        encoder: An encoder; the name of a fastembed model such as ``BAAI/bge-small-en-v1.5``; or
            None for the bundled model.

    Raises:
        ConfigurationError: fastembed does not know the name, or the object is no encoder.
        EncoderError: The model could not be loaded.
    """
    from synaptoroute_core.errors import ConfigurationError, shorten

    if encoder is None:
        return BundledEncoder()
    if isinstance(encoder, str):
        return FastEmbedEncoder(encoder)
    if not isinstance(encoder, Encoder):
        raise ConfigurationError(
            f"{shorten(encoder)} is no encoder: it needs fingerprint, dim, batch_invariant and encode(texts); "
            "pass None for the bundled model or a fastembed model name"
        )
    return encoder
