"""A loaded model, made ready for writing: on a processor its linear layers are packed.

Packing in 8-bit integers is a trade, so it is measured: the same sentences are read before and
after, and where the model finds them less likely by more than a hundredth of their perplexity the
packing is taken back. On a GPU the output layer is filled up to a size that it multiplies fast.
Such a model only writes and scores; it can be neither trained nor saved.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import torch

from personalm.errors import ModelError
from personalm.generation.linears import can_pack, pack, pad_output, unpack

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel

MAX_LOSS = 0.01
"""Largest share by which perplexity may rise for integers to be used."""

# Of several kinds: messages, descriptions, notes, questions, with names, numbers and slips.
SENTENCES = (
    "The ferry was an hour late this morning, so we had coffee on the quay and watched the gulls.",
    "hi, did anyone get the new driver to work? mine hangs at boot and the log says nothing",
    "A short novel about two sisters who run a lighthouse, and the winter that changes them.",
    "Photosynthesis turns light, water and carbon dioxide into sugar; oxygen is what is left over.",
    "I am sorry that the parcel came damaged. We have sent a new one today, at no cost to you.",
    "Bought the blue kettle in the end. It whistles like a train, and the cat has moved out.",
    "You need to install the package first, then restart the service and try it once more.",
    "In 1848 the parliament met in the church of Saint Paul, and it was dissolved a year later.",
    "lol no way, I thought it was only me :) what version are you on",
    "The recipe asks for 250 grams of flour, two eggs, a pinch of salt and much patience.",
    "Thank you for your message, Maria. Your order leaves us on Monday and arrives by Friday.",
    "It rained all weekend, so we finally sorted the photographs from Portugal.",
    "The second law says that in a closed system disorder never becomes less.",
    "This game is for two to four players, takes about an hour, and is easier than it looks.",
    "My grandmother kept bees behind the station, and every train driver knew her by name.",
    "Has anybody tried to mount that disk by its label? The manual is wrong about the option.",
)

_log = logging.getLogger(__name__)


def pack_model(model: LoadedModel, *, int8: bool = False) -> None:
    """Pack the linear layers of a model in place, where its device and processor allow it.

    Raises ModelError where integers are asked for and cannot be had.
    """
    is_tested = model.reads_batches
    is_able = model.device.type == "cpu" and is_tested and can_pack("floating", model.dtype)
    if int8:
        # All else is in bfloat16, which would be slow where that cannot be packed.
        if not is_able or model.dtype != torch.bfloat16 or not can_pack("int8", model.dtype):
            raise ModelError(
                f"8-bit integers do not work with {model.card.name} on {model.device} and this "
                "build of torch",
                remedy='Set generation.dtype = "auto".',
            )
        before = mean_loss(model)
        replaced = pack(model.network, "int8")
        rise = math.expm1(mean_loss(model) - before)
        _log.info("int8: perplexity changes by %+.2f %%", 100 * rise)
        if rise <= MAX_LOSS:
            return
        _log.warning(
            "int8 raises the perplexity of %s by %.1f %%, more than %.0f %%: bfloat16 it is",
            *(model.card.name, 100 * rise, 100 * MAX_LOSS),
        )
        unpack(replaced)
    if is_able:
        pack(model.network, "floating")
    elif is_tested and model.device.type == "cuda":
        pad_output(model.network)


@torch.inference_mode()
def mean_loss(model: LoadedModel) -> float:
    """Return the mean negative log-likelihood a token of the sentences, in nats."""
    losses = []
    for sentence in SENTENCES:
        ids = torch.tensor([model.tokenizer.encode(sentence)])
        logits = model.network(input_ids=ids, use_cache=False).logits[0, :-1].float()
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
    return float(torch.cat(losses).mean())
