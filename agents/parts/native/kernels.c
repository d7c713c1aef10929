/* Fused rows of Dreamer v3 for the processor: each replaces several passes over memory.
 *
 * Plain C, compiled on the machine that runs it (see __init__.py). What each kernel computes is
 * defined by its twin in torch operations, in agents/parts/norms.py and twohot.py; the tests compare
 * them. Every function works on a range of rows or images, so that threads can share the work, and
 * the ranges do not depend on the number of threads, so that sums do not either.
 *
 * rows.h holds the kernels that exist for float32 and for bfloat16, whose arithmetic is float32.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define EPS 1e-4f
#define LOT 16
#define INLINE static inline __attribute__((always_inline))

/* exp to 1 unit in the last place or two, in a form that compilers vectorise. */
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = nearbyintf(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } scale = { .i = ((int32_t)n + 127) << 23 };
    return p * scale.f;
}

INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/* tanh by way of the same exponential; exact enough where it matters, and odd. */
INLINE float hyperbolic(float x) {
    float a = x < 0 ? -x : x;
    float e = exponential(-2.0f * a);
    float big = (1.0f - e) / (1.0f + e);
    float s = x * x;
    float small = x * (1.0f + s * (-0.333333333f + s * (0.133333333f + s * (-0.053968254f))));
    big = x < 0 ? -big : big;
    return a < 0.125f ? small : big;
}

INLINE float from_bfloat16(uint16_t x) {
    union { uint32_t i; float f; } v = { .i = (uint32_t)x << 16 };
    return v.f;
}

/* Rounds to the nearest, ties to even; NaN stays NaN. */
INLINE uint16_t to_bfloat16(float x) {
    union { float f; uint32_t i; } v = { .f = x };
    uint32_t rounded = (v.i + 0x7fff + ((v.i >> 16) & 1)) >> 16;
    return x != x ? 0x7fc0 : (uint16_t)rounded;
}

/* Calls `body` with the number of channels as a constant where it is too small for a loop. */
#define FOR_CHANNELS(body, c, ...)                      \
    switch (c) {                                        \
        case 4: body(4, __VA_ARGS__); break;            \
        case 6: body(6, __VA_ARGS__); break;            \
        case 8: body(8, __VA_ARGS__); break;            \
        case 12: body(12, __VA_ARGS__); break;          \
        case 16: body(16, __VA_ARGS__); break;          \
        default: body(c, __VA_ARGS__); break;           \
    }

#define KIND float
#define LOAD(x) (x)
#define STORE(x) (x)
#define NAME(name) name##_float32
#include "rows.h"
#undef KIND
#undef LOAD
#undef STORE
#undef NAME

#define KIND uint16_t
#define LOAD(x) from_bfloat16(x)
#define STORE(x) to_bfloat16(x)
#define NAME(name) name##_bfloat16
#include "rows.h"

/* Two-hot rows of k logits; the bins are opposite numbers around the middle one. */

INLINE float largest(const float *x, int k) {
    float top = x[0];
    for (int i = 1; i < k; i++) top = x[i] > top ? x[i] : top;
    return top;
}

/* exp(x - from) of a row. A loop's last, incomplete vector is computed by other instructions, which
 * round otherwise; so there is none. Opposite bins of equal logits must have equal probabilities to the
 * last bit: they are multiplied by 4.85e8, and a bit would be a reward out of nothing.
 */
INLINE void exponentials(const float *x, float from, float *e, int k) {
    int whole = (k + LOT - 1) / LOT * LOT;
    for (int i = 0; i < k; i++) e[i] = x[i] - from;
    for (int i = k; i < whole; i++) e[i] = 0;
    for (int i = 0; i < whole; i += LOT)
        for (int j = 0; j < LOT; j++) e[i + j] = exponential(e[i + j]);
}

/* The mean of each row: opposite bins are paired, so that equal logits give exactly 0. */
void twohot_mean(const float *logits, const float *bins, float *mean, int64_t from, int64_t to, int64_t k) {
    int middle = k / 2;
    for (int64_t row = from; row < to; row++) {
        const float *x = logits + row * k;
        float e[1024], top = largest(x, k), total = 0, sum = 0;
        exponentials(x, top, e, k);
        for (int i = 0; i < k; i++) total += e[i];
        for (int i = 1; i <= middle; i++) sum += bins[middle + i] * (e[middle + i] - e[middle - i]);
        mean[row] = sum / total;
    }
}

/* log sum exp of each row. */
void log_sum_exp(const float *logits, float *out, int64_t from, int64_t to, int64_t k) {
    for (int64_t row = from; row < to; row++) {
        const float *x = logits + row * k;
        float e[1024], top = largest(x, k), total = 0;
        for (int i = 0; i < k; i++) e[i] = exponential(x[i] - top);
        for (int i = 0; i < k; i++) total += e[i];
        out[row] = top + logf(total);
    }
}

/* The gradient of scale * logsumexp - sum of two-hot targets, times what comes from above. */
void twohot_back(const float *logits, const float *lse, const float *up, const int64_t *below,
                 const float *share, const float *pull, float *grad, int64_t from, int64_t to, int64_t k,
                 int64_t targets) {
    float scale = 0;
    for (int t = 0; t < targets; t++) scale += pull[t];
    for (int64_t row = from; row < to; row++) {
        const float *x = logits + row * k;
        float e[1024], *g = grad + row * k, u = up[row], whole = scale * u;
        exponentials(x, lse[row], e, k);
        for (int i = 0; i < k; i++) g[i] = whole * e[i];
        for (int t = 0; t < targets; t++) {
            int64_t at = below[row * targets + t];
            float above = share[row * targets + t];
            g[at] -= u * pull[t] * (1 - above);
            g[at + 1] -= u * pull[t] * above;
        }
    }
}

/* Probabilities with a share of uniform in them, and the class at which their sum passes u. */
void mix_and_draw(const float *logits, const float *u, int64_t *index, int64_t from, int64_t to, int64_t k,
                  float uniform) {
    for (int64_t row = from; row < to; row++) {
        const float *x = logits + row * k;
        float e[1024], top = largest(x, k), total = 0, sum = 0;
        exponentials(x, top, e, k);
        for (int i = 0; i < k; i++) total += e[i];
        int64_t found = 0;
        for (int i = 0; i < k; i++) {
            sum += (1 - uniform) * e[i] / total + uniform / k;
            found += sum <= u[row];
        }
        index[row] = found < k ? found : k - 1;
    }
}

/* LaProp's step of one tensor whose gradient was clipped by `share`. */
void laprop(float *w, float *second, float *momentum, const float *gradient, float share, float rate,
            float b1, float b2, float correction, float eps, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * share;
        float v = b2 * second[i] + (1 - b2) * g * g;
        float u = g / (sqrtf(v * correction) + eps);
        float m = momentum[i] + (1 - b1) * (u - momentum[i]);
        second[i] = v;
        momentum[i] = m;
        w[i] -= rate * m;
    }
}
