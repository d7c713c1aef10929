/* Kernels for one type of activations: KIND, LOAD and STORE say which. */

/* One row's norm and SiLU; y = x / rms(x) * gain. */
INLINE void NAME(norm_silu_row)(int c, const float *x, const float *gain, KIND *out) {
    float square = 0;
    for (int i = 0; i < c; i++) square += x[i] * x[i];
    float scale = 1.0f / sqrtf(square / c + EPS);
    for (int i = 0; i < c; i++) {
        float y = x[i] * scale * gain[i];
        out[i] = STORE(y * sigmoid(y));
    }
}

/* The gradient of a row before its norm, given the one after its SiLU; adds to the gain's. */
INLINE void NAME(norm_silu_row_back)(int c, const float *x, const float *gain, const float *up,
                                     float *grad, float *gain_grad) {
    float square = 0, mean = 0, normed[c], inside[c];
    for (int i = 0; i < c; i++) square += x[i] * x[i];
    float scale = 1.0f / sqrtf(square / c + EPS);
    for (int i = 0; i < c; i++) {
        float n = x[i] * scale, y = n * gain[i], s = sigmoid(y);
        float slope = up[i] * s * (1 + y * (1 - s));
        normed[i] = n;
        gain_grad[i] += slope * n;
        inside[i] = slope * gain[i];
        mean += inside[i] * n;
    }
    mean /= c;
    for (int i = 0; i < c; i++) grad[i] = scale * (inside[i] - normed[i] * mean);
}

INLINE void NAME(norm_silu_body)(int c, const KIND *x, const float *gain, KIND *out, int64_t from,
                                 int64_t to) {
    for (int64_t row = from; row < to; row++) {
        float in[c];
        for (int i = 0; i < c; i++) in[i] = LOAD(x[row * c + i]);
        NAME(norm_silu_row)(c, in, gain, out + row * c);
    }
}

void NAME(norm_silu)(const KIND *x, const float *gain, KIND *out, int64_t from, int64_t to, int64_t c) {
    FOR_CHANNELS(NAME(norm_silu_body), c, x, gain, out, from, to)
}

INLINE void NAME(norm_silu_back_body)(int c, const KIND *x, const float *gain, const KIND *up,
                                      KIND *grad, float *gain_grad, int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++) {
        float in[c], above[c], below[c];
        for (int i = 0; i < c; i++) in[i] = LOAD(x[row * c + i]);
        for (int i = 0; i < c; i++) above[i] = LOAD(up[row * c + i]);
        NAME(norm_silu_row_back)(c, in, gain, above, below, gain_grad);
        for (int i = 0; i < c; i++) grad[row * c + i] = STORE(below[i]);
    }
}

void NAME(norm_silu_back)(const KIND *x, const float *gain, const KIND *up, KIND *grad,
                          float *gain_grad, int64_t from, int64_t to, int64_t c) {
    FOR_CHANNELS(NAME(norm_silu_back_body), c, x, gain, up, grad, gain_grad, from, to)
}

/* The largest of each 2 x 2 block, its norm, SiLU; the first of equals wins. */
INLINE void NAME(pool_body)(int c, const KIND *x, const float *gain, KIND *pooled, uint8_t *place,
                            KIND *out, int64_t from, int64_t to, int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j++) {
            const KIND *a = x + 2 * row * line + 2 * j * c, *b = a + line;
            int64_t at = (row * w + j) * c;
            float best[c];
            for (int i = 0; i < c; i++) {
                float v = LOAD(a[i]), second = LOAD(a[c + i]);
                float third = LOAD(b[i]), fourth = LOAD(b[c + i]);
                int p = 0;
                p = second > v ? 1 : p;
                v = second > v ? second : v;
                p = third > v ? 2 : p;
                v = third > v ? third : v;
                p = fourth > v ? 3 : p;
                v = fourth > v ? fourth : v;
                best[i] = v;
                place[at + i] = (uint8_t)p;
                pooled[at + i] = STORE(v);
            }
            NAME(norm_silu_row)(c, best, gain, out + at);
        }
}

void NAME(pool)(const KIND *x, const float *gain, KIND *pooled, uint8_t *place, KIND *out, int64_t from,
                int64_t to, int64_t h, int64_t w, int64_t c) {
    FOR_CHANNELS(NAME(pool_body), c, x, gain, pooled, place, out, from, to, h, w)
}

INLINE void NAME(pool_back_body)(int c, const KIND *pooled, const uint8_t *place, const float *gain,
                                 const KIND *up, KIND *grad, float *gain_grad, int64_t from, int64_t to,
                                 int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j++) {
            KIND *a = grad + 2 * row * line + 2 * j * c, *b = a + line;
            int64_t at = (row * w + j) * c;
            float in[c], above[c], below[c];
            for (int i = 0; i < c; i++) in[i] = LOAD(pooled[at + i]);
            for (int i = 0; i < c; i++) above[i] = LOAD(up[at + i]);
            NAME(norm_silu_row_back)(c, in, gain, above, below, gain_grad);
            for (int i = 0; i < c; i++) {
                KIND g = STORE(below[i]), zero = STORE(0.0f);
                uint8_t p = place[at + i];
                a[i] = p == 0 ? g : zero;
                a[c + i] = p == 1 ? g : zero;
                b[i] = p == 2 ? g : zero;
                b[c + i] = p == 3 ? g : zero;
            }
        }
}

void NAME(pool_back)(const KIND *pooled, const uint8_t *place, const float *gain, const KIND *up,
                     KIND *grad, float *gain_grad, int64_t from, int64_t to, int64_t h, int64_t w, int64_t c) {
    FOR_CHANNELS(NAME(pool_back_body), c, pooled, place, gain, up, grad, gain_grad, from, to, h, w)
}

/* Norm and SiLU of the four pixels that a position holds, each put where it belongs. */
INLINE void NAME(spread_body)(int c, const KIND *x, const float *gain, KIND *out, int64_t from,
                              int64_t to, int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j++)
            for (int pixel = 0; pixel < 4; pixel++) {
                float in[c];
                const KIND *here = x + ((row * w + j) * 4 + pixel) * c;
                for (int i = 0; i < c; i++) in[i] = LOAD(here[i]);
                KIND *there = out + (2 * row + pixel / 2) * line + (2 * j + pixel % 2) * c;
                NAME(norm_silu_row)(c, in, gain, there);
            }
}

void NAME(spread)(const KIND *x, const float *gain, KIND *out, int64_t from, int64_t to, int64_t h, int64_t w,
                  int64_t c) {
    FOR_CHANNELS(NAME(spread_body), c, x, gain, out, from, to, h, w)
}

INLINE void NAME(spread_back_body)(int c, const KIND *x, const float *gain, const KIND *up, KIND *grad,
                                   float *gain_grad, int64_t from, int64_t to, int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j++)
            for (int pixel = 0; pixel < 4; pixel++) {
                int64_t at = ((row * w + j) * 4 + pixel) * c;
                const KIND *there = up + (2 * row + pixel / 2) * line + (2 * j + pixel % 2) * c;
                float in[c], above[c], below[c];
                for (int i = 0; i < c; i++) in[i] = LOAD(x[at + i]);
                for (int i = 0; i < c; i++) above[i] = LOAD(there[i]);
                NAME(norm_silu_row_back)(c, in, gain, above, below, gain_grad);
                for (int i = 0; i < c; i++) grad[at + i] = STORE(below[i]);
            }
}

void NAME(spread_back)(const KIND *x, const float *gain, const KIND *up, KIND *grad, float *gain_grad,
                       int64_t from, int64_t to, int64_t h, int64_t w, int64_t c) {
    FOR_CHANNELS(NAME(spread_back_body), c, x, gain, up, grad, gain_grad, from, to, h, w)
}

/* The squared error of sigmoid(logits) with pixels / 255, and its slope; the logits hold 2 x 2 blocks
 * of pixels in their channels, the image does not. */
void NAME(image_error)(const KIND *logits, const uint8_t *image, float *error, KIND *slope,
                       int64_t from, int64_t to, int64_t h, int64_t w, int64_t c) {
    int64_t line = (int64_t)2 * w * c;
    for (int64_t n = from; n < to; n++) {
        float total = 0;
        for (int i = 0; i < h; i++) {
            float sum = 0;
            for (int half = 0; half < 2; half++) {
                const uint8_t *pixels = image + (n * 2 * h + 2 * i + half) * line;
                for (int j = 0; j < w; j++) {
                    int64_t at = (((n * h + i) * w + j) * 4 + 2 * half) * c;
                    for (int k = 0; k < 2 * c; k++) {
                        float s = sigmoid(LOAD(logits[at + k]));
                        float d = s - (float)pixels[2 * j * c + k] / 255.0f;
                        sum += d * d;
                        slope[at + k] = STORE(2 * d * s * (1 - s));
                    }
                }
            }
            total += sum;
        }
        error[n] = total;
    }
}

/* Pixels in [-0.5, 0.5], each operation rounded as in this type. */
void NAME(centre)(const uint8_t *image, KIND *out, int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
        KIND share = STORE((float)image[i] / 255.0f);
        out[i] = STORE(LOAD(share) - 0.5f);
    }
}

/* The memory that gates (rows, groups, 3, j) make of the one before. */
void NAME(gate)(const KIND *gates, const KIND *before, KIND *after, int64_t from, int64_t to, int64_t groups,
                int64_t j) {
    for (int64_t row = from; row < to; row++)
        for (int g = 0; g < groups; g++) {
            const KIND *reset = gates + (row * groups + g) * 3 * j;
            const KIND *candidate = reset + j, *update = candidate + j;
            const KIND *old = before + (row * groups + g) * j;
            KIND *new = after + (row * groups + g) * j;
            for (int i = 0; i < j; i++) {
                float u = sigmoid(LOAD(update[i]) - 1.0f);
                float n = hyperbolic(sigmoid(LOAD(reset[i])) * LOAD(candidate[i]));
                new[i] = STORE(u * n + (1 - u) * LOAD(old[i]));
            }
        }
}
