"""The two files of a ticket as text; equal tickets make equal bytes."""

import os
import textwrap
import zlib

import numpy as np

from tf_tickets import storage
from tf_tickets.export import folded
from tf_tickets.export.c_source import literals, map_kernels, nodes, tile_kernels
from tf_tickets.export.c_source.calls import Calls
from tf_tickets.export.c_source.weight_tables import Parts
from tf_tickets.export.ticket import Ticket

SOURCE, HEADER = "ticket.c", "ticket.h"
# Letters of the content digest in the names of functions; C99 tells 31 letters of a name apart.
_OF_DIGEST = 12
# Offsets of fewer floats fit into 16 bits.
_SHORT = 1 << 16


def write(ticket: Ticket, folder: str, quantised: bool = False) -> None:
    """Writes both files into a folder, which is made where there is none; see `of`."""
    os.makedirs(folder, exist_ok=True)
    for name, data in of(ticket, quantised).items():
        storage.write_bytes(os.path.join(folder, name), data)


def of(ticket: Ticket, quantised: bool = False) -> dict[str, bytes]:
    """ticket.c and ticket.h by name.

    Args:
      ticket: a Ticket or an Ensemble of networks that the runtime has.
      quantised: whether weights have 8 bits, with a scale for each output; what they are multiplied with stays float32.

    Raises:
      StateError: the weights are such that the runtime refuses them.
    """
    parts, shape = Parts(quantised), tuple(ticket.data["image_shape"])
    networks = [Calls(nodes.of(folded.steps(member), shape), parts) for member in ticket.members]
    bodies = [network.lines() for network in networks]
    scratch = 4 * max(network.scratch for network in networks)
    answer, functions = _answers(ticket)
    parts.functions |= functions
    members = [_member(index, network, lines) for index, (network, lines) in enumerate(zip(networks, bodies))]
    facts = _facts(ticket, parts)
    header = _header(ticket, facts, scratch)
    # The source refuses the header of another ticket.
    mark = zlib.crc32(header.encode("ascii"))
    header = header.replace("@MARK@", f"0x{mark:08x}")
    source = [
        facts,
        f'#include "{HEADER}"\n\n#include <math.h>\n#include <string.h>\n',
        f'#if TICKET_MARK != 0x{mark:08x}\n#error "{HEADER} is of another ticket than {SOURCE}"\n#endif\n',
        _types(parts),
        f"const char *const ticket_labels[TICKET_CLASSES] = {{\n"
        f"{literals.listing(map(literals.string, ticket.labels))}}};\n",
        "static float scratch[TICKET_SCRATCH_BYTES / sizeof(float)];\n",
        *parts.tables,
        *_functions(parts),
        _reading(ticket.data),
        *members,
        answer,
        map_kernels.MAIN,
        _plain_names(ticket),
    ]
    return {SOURCE: "\n".join(source).encode("ascii"), HEADER: header.encode("ascii")}


def _facts(ticket, parts):
    """The comment at the beginning of both files."""
    networks = " and ".join(
        sorted({f"{member.network['name']} of width {member.network['width']}" for member in ticket.members})
    )
    several = f"{len(ticket.members)} networks as one, " if len(ticket.members) > 1 else ""
    kind = "8 bits with a scale for each output" if parts.quantised else "float32"
    lines = [
        f"{several}{networks} for {ticket.data['dataset']}; {100 * ticket.density:.2f} % of the prunable weights left.",
        f"Tables hold {parts.kept:,} weights, {kind}. Ticket {ticket.content_digest}.",
        "cc -O3 -march=native -ffast-math -c ticket.c is the network alone, with -DTICKET_MAIN in place of -c and -lm",
        "a program that reads raw images from a file or standard input and prints labels and probabilities.",
    ]
    return "\n".join(map(literals.comment, lines)) + "\n"


def _header(ticket, facts, scratch):
    pixel = "uint16_t" if ticket.data.get("dtype", "uint8") == "uint16" else "uint8_t"
    height, width, channels = ticket.data["image_shape"]
    part = _part(ticket)
    return f"""{facts}
#ifndef TICKET_H
#define TICKET_H

#include <stdint.h>

#define TICKET_HEIGHT {height}
#define TICKET_WIDTH {width}
#define TICKET_CHANNELS {channels}
#define TICKET_CLASSES {len(ticket.labels)}
#define TICKET_PIXEL {pixel}
/* Of static memory, which all calls use: one at a time. */
#define TICKET_SCRATCH_BYTES {scratch}
#define TICKET_DIGEST "{ticket.content_digest}"
#define TICKET_MARK @MARK@

#ifdef __cplusplus
extern "C" {{
#endif

/* Names of the classes, in UTF-8, in the order of logits and probabilities. */
extern const char *const ticket_labels[TICKET_CLASSES];

/* image: TICKET_HEIGHT x TICKET_WIDTH x TICKET_CHANNELS values as the data set stores them, rows from the top, the
   channels of a pixel side by side. Writes TICKET_CLASSES numbers. */
void ticket_predict(const TICKET_PIXEL *image, float *probabilities);
void ticket_logits(const TICKET_PIXEL *image, float *logits);

/* What includes this file calls names that have a part of the ticket's hash: it links with {SOURCE} of this ticket
   alone. By their plain names the functions can be loaded from a shared library. */
void ticket_predict_of_{part}(const TICKET_PIXEL *image, float *probabilities);
void ticket_logits_of_{part}(const TICKET_PIXEL *image, float *logits);
#define ticket_predict ticket_predict_of_{part}
#define ticket_logits ticket_logits_of_{part}

#ifdef __cplusplus
}}
#endif

#endif
"""


def _plain_names(ticket):
    """The functions by the names that libraries are searched for, behind all that calls them by their macros."""
    part = _part(ticket)
    return f"""\
#undef ticket_predict
#undef ticket_logits

void ticket_predict(const TICKET_PIXEL *image, float *probabilities)
{{
    ticket_predict_of_{part}(image, probabilities);
}}

void ticket_logits(const TICKET_PIXEL *image, float *logits)
{{
    ticket_logits_of_{part}(image, logits);
}}
"""


def _part(ticket):
    """The part of a ticket's hash in the names of its functions."""
    return ticket.content_digest[:_OF_DIGEST]


def _types(parts):
    offset = "uint16_t" if parts.largest_offset < _SHORT else "uint32_t"
    weight = "int8_t" if parts.quantised else "float"
    used = {name.partition("_")[0] for name in parts.functions}
    layers = [
        text
        for kind, text in (("sparse", tile_kernels.SPARSE_TYPE), ("dense", tile_kernels.DENSE_TYPE))
        if kind in used
    ]
    return "\n".join([f"typedef {offset} ticket_offset;\ntypedef {weight} ticket_weight;\n", *layers])


def _functions(parts):
    """The text of all functions that are called, in an order of its own."""
    texts = [text for name, text in map_kernels.FUNCTIONS.items() if name in parts.functions]
    tiles = sorted(
        (kind, int(tile))
        for kind, _, tile in (name.partition("_") for name in parts.functions)
        if kind in ("sparse", "dense")
    )
    return texts + [getattr(tile_kernels, kind)(tile) for kind, tile in tiles]


def _reading(data):
    """read_image, with the normalisation in the order of the runtime's."""
    mean, deviation = (np.asarray(data[part], np.float32) for part in ("mean", "deviation"))
    scale = literals.number(np.float32(data.get("scale", 255.0)))
    return f"""\
{literals.table("float", "mean_of_channel", mean)}
{literals.table("float", "deviation_of_channel", deviation)}
static void read_image(const TICKET_PIXEL *image, float *restrict y, int plane, int pitch)
{{
    for (int c = 0; c < TICKET_CHANNELS; c++)
        for (int row = 0; row < TICKET_HEIGHT; row++)
            for (int j = 0; j < TICKET_WIDTH; j++) {{
                const float value = (float)image[(row * TICKET_WIDTH + j) * TICKET_CHANNELS + c];
                y[c * plane + row * pitch + j] = (value / {scale} - mean_of_channel[c]) / deviation_of_channel[c];
            }}
}}
"""


def _member(index, network, lines):
    body = textwrap.indent("\n".join(lines), "    ")
    return f"""\
static void network_{index}(const TICKET_PIXEL *image, float *logits)
{{
{body}

    memcpy(logits, {network.logits}, TICKET_CLASSES * sizeof(float));
}}
"""


def _answers(ticket):
    """(ticket_logits and ticket_predict, the functions that they call)."""
    temperatures = [literals.number(np.float32(member.temperature)) for member in ticket.members]
    if len(ticket.members) == 1:
        return (
            f"""\
void ticket_logits(const TICKET_PIXEL *image, float *logits)
{{
    network_0(image, logits);
}}

void ticket_predict(const TICKET_PIXEL *image, float *probabilities)
{{
    float logits[TICKET_CLASSES];
    network_0(image, logits);
    softmax(logits, {temperatures[0]}, probabilities);
}}
""",
            {"softmax"},
        )
    calls = "\n".join(
        f"    network_{index}(image, logits);\n    log_softmax(logits, {temperature}, logarithms[{index}]);"
        for index, temperature in enumerate(temperatures)
    )
    return (
        f"""\
/* The logarithm of the mean of the networks' probabilities, each at its own temperature. */
void ticket_logits(const TICKET_PIXEL *image, float *logits)
{{
    enum {{ NETWORKS = {len(temperatures)} }};
    float logarithms[NETWORKS][TICKET_CLASSES];
{calls}
    for (int j = 0; j < TICKET_CLASSES; j++) {{
        float largest = logarithms[0][j], sum = 0.0f;
        for (int k = 1; k < NETWORKS; k++)
            largest = logarithms[k][j] > largest ? logarithms[k][j] : largest;
        for (int k = 0; k < NETWORKS; k++)
            sum += expf(logarithms[k][j] - largest);
        logits[j] = largest + logf(sum / (float)NETWORKS);
    }}
}}

void ticket_predict(const TICKET_PIXEL *image, float *probabilities)
{{
    float logits[TICKET_CLASSES];
    ticket_logits(image, logits);
    softmax(logits, 1.0f, probabilities);
}}
""",
        {"softmax", "log_softmax"},
    )
