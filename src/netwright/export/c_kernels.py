"""Functions of C99 that exported networks are made of; a file holds those that its network calls."""

KERNELS: dict[str, str] = {
    # Eight sums side by side: compilers may make one instruction of them, which they may not of one sum.
    "linear": """\
static void linear(const float *x, const float *w, const float *b, float *y, int rows, int inputs, int outputs)
{
    for (int r = 0; r < rows; r++, x += inputs)
        for (int o = 0; o < outputs; o++) {
            const float *weights = w + o * inputs;
            float sum = b ? b[o] : 0.0f, part[8] = {0.0f};
            int i = 0;
            for (; i + 8 <= inputs; i += 8)
                for (int lane = 0; lane < 8; lane++)
                    part[lane] += weights[i + lane] * x[i + lane];
            for (; i < inputs; i++)
                sum += weights[i] * x[i];
            for (int lane = 0; lane < 8; lane++)
                sum += part[lane];
            *y++ = sum;
        }
}
""",
    "matmul": """\
static void matmul(const float *a, const float *b, float *y, int rows, int inside, int columns)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            float sum = 0.0f;
            for (int i = 0; i < inside; i++)
                sum += a[r * inside + i] * b[i * columns + c];
            y[r * columns + c] = sum;
        }
}
""",
    # One output channel at a time: the sums of a whole picture, one tap of the kernel after the other.
    "convolve": """\
static void convolve(const float *x, const float *w, const float *b, float *y, int inputs, int height, int width,
                     int outputs, int made_high, int made_wide, int high, int wide, int stride_down, int stride_right,
                     int pad_down, int pad_right, int step_down, int step_right, int groups)
{
    int inside = inputs / groups;
    for (int o = 0; o < outputs; o++, y += made_high * made_wide) {
        const float *from = x + o / (outputs / groups) * inside * height * width;
        for (int i = 0; i < made_high * made_wide; i++)
            y[i] = b ? b[o] : 0.0f;
        for (int c = 0; c < inside; c++, from += height * width)
            for (int k = 0; k < high; k++)
                for (int l = 0; l < wide; l++) {
                    float weight = *w++;
                    int shift = l * step_right - pad_right, first = 0, end = made_wide;
                    while (first < end && first * stride_right + shift < 0)
                        first++;
                    while (end > first && (end - 1) * stride_right + shift >= width)
                        end--;
                    for (int i = 0; i < made_high; i++) {
                        int row = i * stride_down - pad_down + k * step_down;
                        if (row < 0 || row >= height)
                            continue;
                        for (int j = first; j < end; j++)
                            y[i * made_wide + j] += weight * from[row * width + j * stride_right + shift];
                    }
                }
    }
}
""",
    "normalise": """\
static void normalise(const float *x, float *y, int rows, int count, float eps)
{
    for (int r = 0; r < rows; r++, x += count, y += count) {
        float mean = 0.0f, variance = 0.0f;
        for (int i = 0; i < count; i++)
            mean += x[i];
        mean /= (float)count;
        for (int i = 0; i < count; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        float scale = 1.0f / sqrtf(variance / (float)count + eps);
        for (int i = 0; i < count; i++)
            y[i] = (x[i] - mean) * scale;
    }
}
""",
    # Of weights there are `count`, each for `places` numbers that lie side by side.
    "scale_and_shift": """\
static void scale_and_shift(float *y, const float *w, const float *b, int rows, int count, int places)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < count; c++)
            for (int i = 0; i < places; i++, y++)
                *y = *y * w[c] + b[c];
}
""",
    "softmax": """\
static void softmax(const float *x, float *y, int before, int count, int after, int is_log)
{
    for (int p = 0; p < before; p++, x += count * after, y += count * after)
        for (int q = 0; q < after; q++) {
            float most = x[q], sum = 0.0f;
            for (int i = 1; i < count; i++)
                most = fmaxf(most, x[i * after + q]);
            for (int i = 0; i < count; i++)
                sum += expf(x[i * after + q] - most);
            for (int i = 0; i < count; i++) {
                float v = x[i * after + q] - most;
                y[i * after + q] = is_log ? v - logf(sum) : expf(v) / sum;
            }
        }
}
""",
    "reduce_mean": """\
static void reduce_mean(const float *x, float *y, int before, int count, int after, float by)
{
    for (int p = 0; p < before; p++, x += count * after)
        for (int q = 0; q < after; q++) {
            float sum = 0.0f;
            for (int i = 0; i < count; i++)
                sum += x[i * after + q];
            *y++ = sum * by;
        }
}
""",
    "reduce_most": """\
static void reduce_most(const float *x, float *y, int before, int count, int after, float sign)
{
    for (int p = 0; p < before; p++, x += count * after)
        for (int q = 0; q < after; q++) {
            float most = sign * x[q];
            for (int i = 1; i < count; i++)
                most = fmaxf(most, sign * x[i * after + q]);
            *y++ = sign * most;
        }
}
""",
    "reduce_logsumexp": """\
static void reduce_logsumexp(const float *x, float *y, int before, int count, int after)
{
    for (int p = 0; p < before; p++, x += count * after)
        for (int q = 0; q < after; q++) {
            float most = x[q], sum = 0.0f;
            for (int i = 1; i < count; i++)
                most = fmaxf(most, x[i * after + q]);
            for (int i = 0; i < count; i++)
                sum += expf(x[i * after + q] - most);
            *y++ = most + logf(sum);
        }
}
""",
    # A window reaches over the edge where pictures are padded: outside is 0 in a mean, and nothing in a maximum.
    "pool": """\
static void pool(const float *x, float *y, int channels, int height, int width, int made_high, int made_wide,
                 int high, int wide, int stride_down, int stride_right, int pad_down, int pad_right, int is_max)
{
    for (int c = 0; c < channels; c++, x += height * width)
        for (int i = 0; i < made_high; i++)
            for (int j = 0; j < made_wide; j++) {
                float most = -INFINITY, sum = 0.0f;
                for (int k = 0; k < high; k++)
                    for (int l = 0; l < wide; l++) {
                        int row = i * stride_down - pad_down + k, column = j * stride_right - pad_right + l;
                        if (row < 0 || row >= height || column < 0 || column >= width)
                            continue;
                        most = fmaxf(most, x[row * width + column]);
                        sum += x[row * width + column];
                    }
                *y++ = is_max ? most : sum / (float)(high * wide);
            }
}
""",
    "adaptive_pool": """\
static void adaptive_pool(const float *x, float *y, int channels, int height, int width, int made_high, int made_wide,
                          int is_max)
{
    for (int c = 0; c < channels; c++, x += height * width)
        for (int i = 0; i < made_high; i++)
            for (int j = 0; j < made_wide; j++) {
                int top = i * height / made_high, bottom = ((i + 1) * height + made_high - 1) / made_high;
                int left = j * width / made_wide, right = ((j + 1) * width + made_wide - 1) / made_wide;
                float most = -INFINITY, sum = 0.0f;
                for (int row = top; row < bottom; row++)
                    for (int column = left; column < right; column++) {
                        most = fmaxf(most, x[row * width + column]);
                        sum += x[row * width + column];
                    }
                *y++ = is_max ? most : sum / (float)((bottom - top) * (right - left));
            }
}
""",
    "sigmoid": """\
static float sigmoid(float v)
{
    return 1.0f / (1.0f + expf(-v));
}
""",
    # `gates` has room for twice the gates: what inputs and what the state say.
    "gru": """\
static void gru(const float *x, const float *h, const float *wi, const float *wh, const float *bi, const float *bh,
                float *y, float *gates, int steps, int inputs, int size, int is_backwards)
{
    float *a = gates, *b = gates + 3 * size;
    for (int s = 0; s < steps; s++) {
        int step = is_backwards ? steps - 1 - s : s;
        linear(x + step * inputs, wi, bi, a, 1, inputs, 3 * size);
        linear(h, wh, bh, b, 1, size, 3 * size);
        for (int i = 0; i < size; i++) {
            float reset = sigmoid(a[i] + b[i]), update = sigmoid(a[size + i] + b[size + i]);
            float fresh = tanhf(a[2 * size + i] + reset * b[2 * size + i]);
            y[step * size + i] = fresh + update * (h[i] - fresh);
        }
        h = y + step * size;
    }
}
""",
    # Beside the gates there is room for the cell's state.
    "lstm": """\
static void lstm(const float *x, const float *h, const float *c, const float *wi, const float *wh, const float *bi,
                 const float *bh, float *y, float *gates, int steps, int inputs, int size, int is_backwards)
{
    float *a = gates, *b = gates + 4 * size, *cell = gates + 8 * size;
    for (int i = 0; i < size; i++)
        cell[i] = c[i];
    for (int s = 0; s < steps; s++) {
        int step = is_backwards ? steps - 1 - s : s;
        linear(x + step * inputs, wi, bi, a, 1, inputs, 4 * size);
        linear(h, wh, bh, b, 1, size, 4 * size);
        for (int i = 0; i < size; i++) {
            float let_in = sigmoid(a[i] + b[i]), keep = sigmoid(a[size + i] + b[size + i]);
            float fresh = tanhf(a[2 * size + i] + b[2 * size + i]), out = sigmoid(a[3 * size + i] + b[3 * size + i]);
            cell[i] = keep * cell[i] + let_in * fresh;
            y[step * size + i] = out * tanhf(cell[i]);
        }
        h = y + step * size;
    }
}
""",
    "plain_recurrent": """\
static void plain_recurrent(const float *x, const float *h, const float *wi, const float *wh, const float *bi,
                            const float *bh, float *y, float *gates, int steps, int inputs, int size, int is_backwards,
                            int is_relu)
{
    float *a = gates, *b = gates + size;
    for (int s = 0; s < steps; s++) {
        int step = is_backwards ? steps - 1 - s : s;
        linear(x + step * inputs, wi, bi, a, 1, inputs, size);
        linear(h, wh, bh, b, 1, size, size);
        for (int i = 0; i < size; i++)
            y[step * size + i] = is_relu ? fmaxf(a[i] + b[i], 0.0f) : tanhf(a[i] + b[i]);
        h = y + step * size;
    }
}
""",
}
# What each kernel calls.
NEEDS: dict[str, tuple[str, ...]] = {
    "gru": ("linear", "sigmoid"),
    "lstm": ("linear", "sigmoid"),
    "plain_recurrent": ("linear",),
}

__all__ = ["KERNELS", "NEEDS"]
