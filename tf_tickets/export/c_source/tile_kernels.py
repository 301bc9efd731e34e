"""The kernels that take nearly all of the time, for tiles of a fixed number of positions, which compilers make wide.

A tile's sums stay in registers while the weights go by. Weights are added eight, four, two and one at a time, by an
index: of a loop that adds one, or that moves pointers, gcc 12 makes gathers or jams two turns, 10 times as slow.
"""

# So many positions of eight outputs, or of one, fit into the registers of most processors.
_DENSE_TILES, _SPARSE_TILES = (32, 48, 64), (48, 64, 80, 96)
# What a weight costs by itself in a tile, in sixteen positions.
_BY_ITSELF = 1.5

SPARSE_TYPE = """\
/* A convolution over the weights that are left. Output o is the sum over the weights i from starts[o % repeat] to
   starts[o % repeat + 1] of values[i] * x[offsets[i] + o / repeat * advance + position], times scales[o], plus bias[o],
   between low and high. */
typedef struct {
    int outputs, plane, length; /* channels, floats from one to the next, positions of each */
    int repeat, advance;
    const uint32_t *starts;
    const ticket_offset *offsets;
    const ticket_weight *values;
    const float *scales, *bias; /* scales: none where they are 1 */
    float low, high;
} sparse_layer;
"""

DENSE_TYPE = """\
/* A convolution over all weights, those of eight outputs side by side. */
typedef struct {
    int outputs, plane, length; /* channels, floats from one to the next, positions of each */
    int taps;                   /* weights of an output, a multiple of four */
    const ticket_offset *offsets;
    const ticket_weight *values;
    const float *scales, *bias; /* scales: none where they are 1 */
    float low, high;
} dense_layer;
"""

_SPARSE = """\
static void sparse_@N@(const sparse_layer *layer, const float *restrict x, float *restrict y)
{
    const ticket_offset *const offsets = layer->offsets;
    const ticket_weight *const values = layer->values;
    const float low = layer->low, high = layer->high;
    for (int begin = 0; begin < layer->length; begin += @N@) {
        /* The last positions are computed with some of those before them. */
        const int at = begin > 0 && begin + @N@ > layer->length ? layer->length - @N@ : begin;
        for (int output = 0; output < layer->outputs; output++) {
            const int row = output % layer->repeat;
            const float *restrict const seen = x + output / layer->repeat * layer->advance + at;
            const uint32_t last = layer->starts[row + 1];
            uint32_t i = layer->starts[row];
            float sums[@N@];
            for (int j = 0; j < @N@; j++)
                sums[j] = 0.0f;
            for (; i + 8 <= last; i += 8) {
@EIGHT@
            }
            if ((last - i) & 4) {
@FOUR@
                i += 4;
            }
            if ((last - i) & 2) {
@TWO@
                i += 2;
            }
            if ((last - i) & 1) {
@ONE@
            }
            const float scale = layer->scales ? layer->scales[output] : 1.0f, bias = layer->bias[output];
            float *restrict const result = y + output * layer->plane + at;
            for (int j = 0; j < @N@; j++) {
                const float sum = sums[j] * scale + bias;
                const float raised = sum > low ? sum : low;
                result[j] = raised < high ? raised : high;
            }
        }
    }
}
"""

_DENSE = """\
static void dense_@N@(const dense_layer *layer, const float *restrict x, float *restrict y)
{
    const float low = layer->low, high = layer->high;
    for (int begin = 0; begin < layer->length; begin += @N@) {
        /* The last positions are computed with some of those before them. */
        const int at = begin > 0 && begin + @N@ > layer->length ? layer->length - @N@ : begin;
        const ticket_weight *w = layer->values;
        for (int output = 0; output < layer->outputs; output += 8) {
            float sums[8][@N@];
            for (int k = 0; k < 8; k++)
                for (int j = 0; j < @N@; j++)
                    sums[k][j] = 0.0f;
            for (int tap = 0; tap < layer->taps; tap += 4, w += 32) {
                const ticket_offset *const offset = layer->offsets + tap;
                const float *restrict const x0 = x + offset[0] + at, *restrict const x1 = x + offset[1] + at;
                const float *restrict const x2 = x + offset[2] + at, *restrict const x3 = x + offset[3] + at;
@WEIGHTS@
                for (int j = 0; j < @N@; j++) {
@PRODUCTS@
                }
            }
            for (int k = 0; k < 8 && output + k < layer->outputs; k++) {
                const int o = output + k;
                const float scale = layer->scales ? layer->scales[o] : 1.0f, bias = layer->bias[o];
                float *restrict const result = y + o * layer->plane + at;
                for (int j = 0; j < @N@; j++) {
                    const float sum = sums[k][j] * scale + bias;
                    const float raised = sum > low ? sum : low;
                    result[j] = raised < high ? raised : high;
                }
            }
        }
    }
}
"""


def sparse(tile: int) -> str:
    """The function sparse_TILE."""
    text = _SPARSE
    for mark, count in (("@EIGHT@", 8), ("@FOUR@", 4), ("@TWO@", 2), ("@ONE@", 1)):
        text = text.replace(mark, _added(count))
    return text.replace("@N@", str(tile))


def _added(count):
    """The products of the next `count` weights of one output, added to its sums."""
    lines = [f"const float v{i} = values[i + {i}], *const x{i} = seen + offsets[i + {i}];" for i in range(count)]
    products = " + ".join(f"v{i} * x{i}[j]" for i in range(count))
    lines += ["for (int j = 0; j < @N@; j++)", f"    sums[j] += {products};"]
    return "\n".join(" " * 16 + line for line in lines)


def dense(tile: int) -> str:
    """The function dense_TILE."""
    weights = ("const float " + ", ".join(f"w{tap}{k} = w[{8 * tap + k}]" for k in range(8)) + ";" for tap in range(4))
    products = (f"sums[{k}][j] += " + " + ".join(f"w{tap}{k} * x{tap}[j]" for tap in range(4)) + ";" for k in range(8))
    text = _DENSE.replace("@WEIGHTS@", "\n".join(" " * 16 + line for line in weights))
    text = text.replace("@PRODUCTS@", "\n".join(" " * 20 + line for line in products))
    return text.replace("@N@", str(tile))


def sparse_tile(length: int) -> int:
    """Positions of a tile of `sparse` for rows of so many."""
    return _tile(length, _SPARSE_TILES)


def dense_tile(length: int) -> int:
    """Positions of a tile of `dense` for rows of so many."""
    return _tile(length, _DENSE_TILES)


def _tile(length, tiles):
    if length <= 16:
        return 1 << (length - 1).bit_length()
    if length <= tiles[-1]:
        return -(-length // 16) * 16
    return min(tiles, key=lambda tile: -(-length // tile) * (tile / 16 + _BY_ITSELF))
