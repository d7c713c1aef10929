/* Kernels for one type of activations: KIND, LOAD and STORE say which. */

/* Rows are taken some at a time, so that their square roots and exponentials fill whole vectors even
 * where a row has eight channels. LOT is how many. */

/* Norm and SiLU of n rows in float32; y = x / rms(x) * gain. Writes over x. */
INLINE void NAME(norm_silu_rows)(int c, int n, float *x, const float *gain) {
    float scale[LOT];
    for (int r = 0; r < n; r++) {
        float square = 0;
        for (int i = 0; i < c; i++) square += x[r * c + i] * x[r * c + i];
        scale[r] = square;
    }
    for (int r = 0; r < n; r++) scale[r] = 1.0f / sqrtf(scale[r] / c + EPS);
    for (int r = 0; r < n; r++)
        for (int i = 0; i < c; i++) x[r * c + i] *= scale[r] * gain[i];
    for (int i = 0; i < n * c; i++) x[i] *= sigmoid(x[i]);
}

/* The gradients of n rows before their norm, given those after the SiLU, which they overwrite; adds to
 * the gain's. Writes over x. */
INLINE void NAME(norm_silu_rows_back)(int c, int n, float *x, const float *gain, float *up,
                                      float *gain_grad) {
    float scale[LOT], mean[LOT];
    for (int r = 0; r < n; r++) {
        float square = 0;
        for (int i = 0; i < c; i++) square += x[r * c + i] * x[r * c + i];
        scale[r] = square;
    }
    for (int r = 0; r < n; r++) scale[r] = 1.0f / sqrtf(scale[r] / c + EPS);
    float y[LOT * c];
    for (int r = 0; r < n; r++)
        for (int i = 0; i < c; i++) {
            x[r * c + i] *= scale[r];
            y[r * c + i] = x[r * c + i] * gain[i];
        }
    for (int i = 0; i < n * c; i++) {
        float s = sigmoid(y[i]);
        up[i] *= s * (1 + y[i] * (1 - s));
    }
    for (int r = 0; r < n; r++) {
        float sum = 0;
        for (int i = 0; i < c; i++) {
            gain_grad[i] += up[r * c + i] * x[r * c + i];
            sum += up[r * c + i] * gain[i] * x[r * c + i];
        }
        mean[r] = sum / c;
    }
    for (int r = 0; r < n; r++)
        for (int i = 0; i < c; i++)
            up[r * c + i] = scale[r] * (up[r * c + i] * gain[i] - x[r * c + i] * mean[r]);
}

INLINE int NAME(lot)(int c) { return c >= 64 ? 4 : c >= 32 ? 8 : 16; }

INLINE void NAME(norm_silu_body)(int c, const KIND *x, const float *gain, KIND *out, int64_t from,
                                 int64_t to) {
    int lot = NAME(lot)(c);
    float in[lot * c];
    for (int64_t row = from; row < to; row += lot) {
        int n = to - row < lot ? (int)(to - row) : lot;
        for (int i = 0; i < n * c; i++) in[i] = LOAD(x[row * c + i]);
        NAME(norm_silu_rows)(c, n, in, gain);
        for (int i = 0; i < n * c; i++) out[row * c + i] = STORE(in[i]);
    }
}

void NAME(norm_silu)(const KIND *x, const float *gain, KIND *out, int64_t from, int64_t to, int64_t c) {
    FOR_CHANNELS(NAME(norm_silu_body), c, x, gain, out, from, to)
}

INLINE void NAME(norm_silu_back_body)(int c, const KIND *x, const float *gain, const KIND *up,
                                      KIND *grad, float *gain_grad, int64_t from, int64_t to) {
    int lot = NAME(lot)(c);
    float in[lot * c], above[lot * c];
    for (int64_t row = from; row < to; row += lot) {
        int n = to - row < lot ? (int)(to - row) : lot;
        for (int i = 0; i < n * c; i++) in[i] = LOAD(x[row * c + i]);
        for (int i = 0; i < n * c; i++) above[i] = LOAD(up[row * c + i]);
        NAME(norm_silu_rows_back)(c, n, in, gain, above, gain_grad);
        for (int i = 0; i < n * c; i++) grad[row * c + i] = STORE(above[i]);
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
    int lot = NAME(lot)(c);
    size_t size = c * sizeof(KIND);
    KIND four[4][lot * c]; /* The pixels of n blocks, each corner by itself. */
    float best[lot * c];
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j += lot) {
            int n = w - j < lot ? w - j : lot;
            int64_t at = (row * w + j) * c;
            for (int r = 0; r < n; r++)
                for (int k = 0; k < 4; k++) {
                    const KIND *pixel = x + (2 * row + k / 2) * line + (2 * (j + r) + k % 2) * c;
                    memcpy(four[k] + r * c, pixel, size);
                }
            for (int i = 0; i < n * c; i++) {
                float v = LOAD(four[0][i]), second = LOAD(four[1][i]);
                float third = LOAD(four[2][i]), fourth = LOAD(four[3][i]);
                int32_t p = 0;
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
            NAME(norm_silu_rows)(c, n, best, gain);
            for (int i = 0; i < n * c; i++) out[at + i] = STORE(best[i]);
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
    int lot = NAME(lot)(c);
    size_t size = c * sizeof(KIND);
    KIND four[4][lot * c];
    float in[lot * c], above[lot * c];
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j += lot) {
            int n = w - j < lot ? w - j : lot;
            int64_t at = (row * w + j) * c;
            for (int i = 0; i < n * c; i++) in[i] = LOAD(pooled[at + i]);
            for (int i = 0; i < n * c; i++) above[i] = LOAD(up[at + i]);
            NAME(norm_silu_rows_back)(c, n, in, gain, above, gain_grad);
            for (int k = 0; k < 4; k++)
                for (int i = 0; i < n * c; i++) {
                    int32_t where = place[at + i];
                    four[k][i] = STORE(where == k ? above[i] : 0.0f);
                }
            for (int r = 0; r < n; r++)
                for (int k = 0; k < 4; k++) {
                    KIND *pixel = grad + (2 * row + k / 2) * line + (2 * (j + r) + k % 2) * c;
                    memcpy(pixel, four[k] + r * c, size);
                }
        }
}

void NAME(pool_back)(const KIND *pooled, const uint8_t *place, const float *gain, const KIND *up,
                     KIND *grad, float *gain_grad, int64_t from, int64_t to, int64_t h, int64_t w,
                     int64_t c) {
    FOR_CHANNELS(NAME(pool_back_body), c, pooled, place, gain, up, grad, gain_grad, from, to, h, w)
}

/* Norm and SiLU of the four pixels that a position holds, each put where it belongs: four positions
 * at a time. */
INLINE void NAME(spread_body)(int c, const KIND *x, const float *gain, KIND *out, int64_t from,
                              int64_t to, int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    size_t size = 2 * c * sizeof(KIND);
    float in[16 * c];
    KIND done[16 * c];
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j += 4) {
            int n = w - j < 4 ? w - j : 4;
            const KIND *here = x + (row * w + j) * 4 * c;
            for (int i = 0; i < 4 * n * c; i++) in[i] = LOAD(here[i]);
            NAME(norm_silu_rows)(c, 4 * n, in, gain);
            for (int i = 0; i < 4 * n * c; i++) done[i] = STORE(in[i]);
            for (int r = 0; r < 2 * n; r++) { /* Two pixels that lie side by side. */
                KIND *there = out + (2 * row + r % 2) * line + 2 * (j + r / 2) * c;
                memcpy(there, done + 2 * r * c, size);
            }
        }
}

void NAME(spread)(const KIND *x, const float *gain, KIND *out, int64_t from, int64_t to, int64_t h,
                  int64_t w, int64_t c) {
    FOR_CHANNELS(NAME(spread_body), c, x, gain, out, from, to, h, w)
}

INLINE void NAME(spread_back_body)(int c, const KIND *x, const float *gain, const KIND *up, KIND *grad,
                                   float *gain_grad, int64_t from, int64_t to, int h, int w) {
    int64_t line = (int64_t)2 * w * c;
    size_t size = 2 * c * sizeof(KIND);
    KIND moved[16 * c];
    float in[16 * c], above[16 * c];
    for (int64_t row = from * h; row < to * h; row++)
        for (int j = 0; j < w; j += 4) {
            int n = w - j < 4 ? w - j : 4;
            int64_t at = (row * w + j) * 4 * c;
            for (int i = 0; i < 4 * n * c; i++) in[i] = LOAD(x[at + i]);
            for (int r = 0; r < 2 * n; r++) {
                const KIND *there = up + (2 * row + r % 2) * line + 2 * (j + r / 2) * c;
                memcpy(moved + 2 * r * c, there, size);
            }
            for (int i = 0; i < 4 * n * c; i++) above[i] = LOAD(moved[i]);
            NAME(norm_silu_rows_back)(c, 4 * n, in, gain, above, gain_grad);
            for (int i = 0; i < 4 * n * c; i++) grad[at + i] = STORE(above[i]);
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
    int64_t line = 2 * w * c, many = 2 * line;
    float pixels[many]; /* Of two lines, in the order of the logits. */
    for (int64_t n = from; n < to; n++) {
        float total = 0;
        for (int64_t i = 0; i < h; i++) {
            const uint8_t *top = image + (n * h + i) * many;
            for (int64_t j = 0; j < w; j++)
                for (int64_t k = 0; k < 2 * c; k++) {
                    pixels[4 * j * c + k] = top[2 * j * c + k];
                    pixels[4 * j * c + 2 * c + k] = top[line + 2 * j * c + k];
                }
            const KIND *x = logits + (n * h + i) * many;
            KIND *out = slope + (n * h + i) * many;
            float sum = 0;
            for (int64_t k = 0; k < many; k++) {
                float s = sigmoid(LOAD(x[k])), d = s - pixels[k] / 255.0f;
                sum += d * d;
                out[k] = STORE(2 * d * s * (1 - s));
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
