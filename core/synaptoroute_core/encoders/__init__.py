"""Encoders: text in, unit vectors out."""

from synaptoroute_core.encoders.base import Encoder, clean_vector, encode_each, encode_texts, require_encoder, unit_rows
from synaptoroute_core.encoders.bundled import BundledEncoder
from synaptoroute_core.encoders.fastembed import FastEmbedEncoder
from synaptoroute_core.encoders.hashing import HashingEncoder

__all__ = [
    "BundledEncoder",
    "Encoder",
    "FastEmbedEncoder",
    "HashingEncoder",
    "clean_vector",
    "encode_each",
    "encode_texts",
    "resolve_encoder",
    "unit_rows",
]


def resolve_encoder(encoder: Encoder | str | None) -> Encoder:
    """The encoder that an argument stands for.

    Args:
        encoder: An encoder; the name of a fastembed model such as ``BAAI/bge-small-en-v1.5``; or
            None for the bundled model.

    Raises:
        ConfigurationError: fastembed does not know the name, or the object is no encoder or has a
            member of the wrong kind.
        EncoderError: The model could not be loaded.
    """
    if encoder is None:
        return BundledEncoder()
    if isinstance(encoder, str):
        return FastEmbedEncoder(encoder)
    return require_encoder(encoder)
