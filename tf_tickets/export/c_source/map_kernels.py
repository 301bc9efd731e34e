"""Functions of the C file beside the convolutions, and its main: constant text, of which a file has what it calls."""

FUNCTIONS = {
    "clear_border": """\
/* Makes all of a map zero that is no pixel; `map` is its beginning. */
static void clear_border(float *map, int channels, int height, int width, int border, int pitch)
{
    const int plane = (height + border) * pitch;
    for (int j = 0; j < border * (pitch + 1); j++)
        map[j] = 0.0f;
    for (int c = 0; c < channels; c++) {
        float *const first = map + border * (pitch + 1) + c * plane;
        for (int row = 0; row + 1 < height; row++)
            for (int j = row * pitch + width; j < (row + 1) * pitch; j++)
                first[j] = 0.0f;
        for (int j = (height - 1) * pitch + width; j < plane; j++)
            first[j] = 0.0f;
    }
}
""",
    "take_phase": """\
/* Copies every stride-th pixel in each direction. */
static void take_phase(const float *restrict x, int x_plane, int x_pitch, int stride, float *restrict y, int y_plane,
                       int y_pitch, int channels, int rows, int columns)
{
    for (int c = 0; c < channels; c++)
        for (int row = 0; row < rows; row++) {
            const float *const from = x + c * x_plane + row * stride * x_pitch;
            float *const to = y + c * y_plane + row * y_pitch;
            if (stride == 2)
                for (int j = 0; j < columns; j++)
                    to[j] = from[2 * j];
            else
                for (int j = 0; j < columns; j++)
                    to[j] = from[stride * j];
        }
}
""",
    "add": """\
static void add(const float *restrict a, int a_plane, const float *restrict b, int b_plane, float *restrict y,
                int y_plane, int channels, int length, float low, float high)
{
    for (int c = 0; c < channels; c++)
        for (int j = 0; j < length; j++) {
            const float sum = a[c * a_plane + j] + b[c * b_plane + j];
            const float raised = sum > low ? sum : low;
            y[c * y_plane + j] = raised < high ? raised : high;
        }
}
""",
    "normalise": """\
static void normalise(const float *restrict x, int x_plane, float *restrict y, int y_plane, int channels, int length,
                      const float *scale, const float *shift, float low, float high)
{
    for (int c = 0; c < channels; c++)
        for (int j = 0; j < length; j++) {
            const float value = x[c * x_plane + j] * scale[c] + shift[c];
            const float raised = value > low ? value : low;
            y[c * y_plane + j] = raised < high ? raised : high;
        }
}
""",
    "rectify": """\
static void rectify(const float *restrict x, int x_plane, float *restrict y, int y_plane, int channels, int length,
                    float high)
{
    for (int c = 0; c < channels; c++)
        for (int j = 0; j < length; j++) {
            const float raised = x[c * x_plane + j] > 0.0f ? x[c * x_plane + j] : 0.0f;
            y[c * y_plane + j] = raised < high ? raised : high;
        }
}
""",
    "copy_rows": """\
static void copy_rows(const float *restrict x, int x_plane, int x_pitch, float *restrict y, int y_plane, int y_pitch,
                      int channels, int rows, int columns)
{
    for (int c = 0; c < channels; c++)
        for (int row = 0; row < rows; row++)
            for (int j = 0; j < columns; j++)
                y[c * y_plane + row * y_pitch + j] = x[c * x_plane + row * x_pitch + j];
}
""",
    "resize": """\
/* Bilinear: each pixel lies between two rows and two columns of the input. */
static void resize(const float *restrict x, int x_plane, int x_pitch, float *restrict y, int y_plane, int y_pitch,
                   int channels, int rows, int columns, const uint16_t *up, const uint16_t *down, const float *by_row,
                   const uint16_t *left, const uint16_t *right, const float *by_column)
{
    for (int c = 0; c < channels; c++)
        for (int row = 0; row < rows; row++) {
            const float *const above = x + c * x_plane + up[row] * x_pitch;
            const float *const below = x + c * x_plane + down[row] * x_pitch;
            for (int j = 0; j < columns; j++) {
                const float before = above[left[j]] + (below[left[j]] - above[left[j]]) * by_row[row];
                const float after = above[right[j]] + (below[right[j]] - above[right[j]]) * by_row[row];
                y[c * y_plane + row * y_pitch + j] = before + (after - before) * by_column[j];
            }
        }
}
""",
    "max_pool": """\
static void max_pool(const float *restrict x, int x_plane, int x_pitch, float *restrict y, int y_plane, int y_pitch,
                     int channels, int rows, int columns, int size, int stride)
{
    for (int c = 0; c < channels; c++)
        for (int row = 0; row < rows; row++)
            for (int j = 0; j < columns; j++) {
                const float *const seen = x + c * x_plane + row * stride * x_pitch + j * stride;
                float largest = seen[0];
                for (int up = 0; up < size; up++)
                    for (int left = 0; left < size; left++)
                        largest = seen[up * x_pitch + left] > largest ? seen[up * x_pitch + left] : largest;
                y[c * y_plane + row * y_pitch + j] = largest;
            }
}
""",
    "flatten": """\
/* All numbers one below the other, rows first, channels last. */
static void flatten(const float *restrict x, int x_plane, int x_pitch, float *restrict y, int y_plane, int channels,
                    int height, int width)
{
    for (int row = 0; row < height; row++)
        for (int j = 0; j < width; j++)
            for (int c = 0; c < channels; c++)
                y[((row * width + j) * channels + c) * y_plane] = x[c * x_plane + row * x_pitch + j];
}
""",
    "mean": """\
static void mean(const float *restrict x, int plane, int pitch, float *restrict y, int channels, int height, int width)
{
    for (int c = 0; c < channels; c++) {
        float total = 0.0f;
        for (int row = 0; row < height; row++) {
            float sum = 0.0f;
            for (int j = 0; j < width; j++)
                sum += x[c * plane + row * pitch + j];
            total += sum;
        }
        y[c] = total / (float)(height * width);
    }
}
""",
    "scale_cosines": """\
/* Logits of products of unit vectors with features x: divided by the length of x, they are cosines. A kappa that is not
   negative is that of t-vMF's similarity. */
static void scale_cosines(const float *restrict x, int features, float *restrict y, int count, float kappa, float scale)
{
    float squares = 0.0f;
    for (int j = 0; j < features; j++)
        squares += x[j] * x[j];
    const float length = sqrtf(squares > 1e-24f ? squares : 1e-24f);
    for (int j = 0; j < count; j++) {
        const float cosine = y[j] / length;
        y[j] = scale * (kappa >= 0.0f ? (1.0f + cosine) / (1.0f + kappa * (1.0f - cosine)) - 1.0f : cosine);
    }
}
""",
    "softmax": """\
static void softmax(const float *restrict logits, float temperature, float *restrict probabilities)
{
    float largest = logits[0] / temperature, sum = 0.0f;
    for (int j = 0; j < TICKET_CLASSES; j++) {
        probabilities[j] = logits[j] / temperature;
        largest = probabilities[j] > largest ? probabilities[j] : largest;
    }
    for (int j = 0; j < TICKET_CLASSES; j++) {
        probabilities[j] = expf(probabilities[j] - largest);
        sum += probabilities[j];
    }
    for (int j = 0; j < TICKET_CLASSES; j++)
        probabilities[j] /= sum;
}
""",
    "log_softmax": """\
static void log_softmax(const float *restrict logits, float temperature, float *restrict logarithms)
{
    float largest = logits[0] / temperature, sum = 0.0f;
    for (int j = 0; j < TICKET_CLASSES; j++) {
        logarithms[j] = logits[j] / temperature;
        largest = logarithms[j] > largest ? logarithms[j] : largest;
    }
    for (int j = 0; j < TICKET_CLASSES; j++)
        sum += expf(logarithms[j] - largest);
    for (int j = 0; j < TICKET_CLASSES; j++)
        logarithms[j] -= largest + logf(sum);
}
""",
}

MAIN = """\
#ifdef TICKET_MAIN
#include <stdio.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

/* Reads raw images, one after the other, from the file that is named or from standard input, and prints the label of
   each and its probability. */
int main(int count, char **words)
{
    static TICKET_PIXEL image[TICKET_HEIGHT * TICKET_WIDTH * TICKET_CHANNELS];
    static float probabilities[TICKET_CLASSES];
    size_t bytes, images = 0;
    FILE *const file = count > 1 ? fopen(words[1], "rb") : stdin;
    if (file == NULL) {
        fprintf(stderr, "%s cannot be opened\\n", words[1]);
        return 2;
    }
#ifdef _WIN32
    _setmode(_fileno(file), _O_BINARY);
#endif
    while ((bytes = fread(image, 1, sizeof image, file)) == sizeof image) {
        int best = 0;
        ticket_predict(image, probabilities);
        for (int j = 1; j < TICKET_CLASSES; j++)
            if (probabilities[j] > probabilities[best])
                best = j;
        printf("%s\\t%.6f\\n", ticket_labels[best], (double)probabilities[best]);
        images++;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "standard output cannot be written\\n");
        return 3;
    }
    if (bytes > 0 || images == 0) {
        fprintf(stderr, "%s after %lu images: one is %lu bytes, rows of pixels from the top, channels side by side\\n",
                bytes > 0 ? "cut short" : "no image", (unsigned long)images, (unsigned long)sizeof image);
        return 2;
    }
    return 0;
}
#endif
"""
