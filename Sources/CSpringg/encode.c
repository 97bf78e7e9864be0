#include "springg.h"

// Codes of vectors. One text for every processor, compiled once for the baseline and once for AVX2: sums are kept in lanes
// that the compiler may compute side by side, and it may not reorder floating-point sums by itself, so both give the same.

#define LANES 16
#define INLINE __attribute__((always_inline)) static inline

INLINE float magnitude_of(float component) { return component < 0 ? -component : component; }

INLINE float largest_of(const float *vector, size_t count) {
    float lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float magnitude = magnitude_of(vector[i + lane]);
            lanes[lane] = magnitude > lanes[lane] ? magnitude : lanes[lane];
        }
    }
    float largest = 0;
    for (; i < count; i++) {
        largest = magnitude_of(vector[i]) > largest ? magnitude_of(vector[i]) : largest;
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    }
    return largest;
}

// Added and taken away again, it leaves a float between -2^22 and 2^22 rounded to the nearest whole number.
#define ROUNDER 12582912.0f

INLINE springg_code encode_s8(const float *vector, size_t count, size_t bytes, int8_t *code) {
    float largest = largest_of(vector, count);
    float scale = largest > 0 ? 127 / largest : 0;
    int32_t sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t component = (int32_t)((vector[i] * scale + ROUNDER) - ROUNDER);
        code[i] = (int8_t)component;
        sum += component;
        squares += component * component;
    }
    for (size_t i = count; i < bytes; i++) {
        code[i] = 0;
    }
    springg_code result = {squares, sum};
    return result;
}

INLINE float loss_s8(const float *vector, float scale, const int8_t *code, float factor, size_t count) {
    float lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float lost = vector[i + lane] * scale - (float)code[i + lane] * factor;
            lanes[lane] += lost * lost;
        }
    }
    for (; i < count; i++) {
        float lost = vector[i] * scale - (float)code[i] * factor;
        lanes[0] += lost * lost;
    }
    float sum = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

// The level that stands for a component, 0 … 15 for -7.5 … 7.5 steps.
INLINE float level_of(float component, float inverse_step) {
    float level = component * inverse_step + 7.5f;
    level = level < 0 ? 0 : level;
    level = level > 15 ? 15 : level;
    return (level + ROUNDER) - ROUNDER;
}

typedef struct fit {
    float along;   // code · vector
    float square;  // code · code
} fit;

INLINE fit fit_of(const float *vector, size_t count, float inverse_step) {
    float along[LANES] = {0}, square[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float value = level_of(vector[i + lane], inverse_step) - 7.5f;
            along[lane] += value * vector[i + lane];
            square[lane] += value * value;
        }
    }
    for (; i < count; i++) {
        float value = level_of(vector[i], inverse_step) - 7.5f;
        along[0] += value * vector[i];
        square[0] += value * value;
    }
    fit sum = {0, 0};
    for (size_t lane = 0; lane < LANES; lane++) {
        sum.along += along[lane];
        sum.square += square[lane];
    }
    return sum;
}

// Steps that are tried, each so much smaller than the one before: from the one that cuts nothing off to a fifth of that.
#define STEPS_TRIED 14
#define STEP_RATIO 0.88f

// Components in a block of 64 bytes.
#define BLOCK 128

INLINE float encode_u4(const float *vector, size_t count, size_t bytes, uint8_t *code) {
    float largest = largest_of(vector, count);
    if (!(largest > 0)) {
        return 0;
    }
    // Relative to the largest component, so that squares neither overflow nor vanish.
    float step = largest / 7.5f, best_inverse = 1 / step, best = -1, best_along = 0;
    for (size_t tried = 0; tried < STEPS_TRIED; tried++, step *= STEP_RATIO) {
        fit now = fit_of(vector, count, 1 / step);
        float along = now.along / largest;
        if (along * along / now.square > best) {
            best = along * along / now.square;
            best_inverse = 1 / step;
            best_along = now.along;
        }
    }
    for (size_t block = 0; block < bytes; block += 64, vector += BLOCK) {
        size_t here = count - 2 * block < BLOCK ? count - 2 * block : BLOCK;
        uint8_t levels[BLOCK] = {0};
        for (size_t i = 0; i < here; i++) {
            levels[i] = (uint8_t)level_of(vector[i], best_inverse);
        }
        for (size_t i = 0; i < 64; i++) {
            code[block + i] = (uint8_t)(levels[i] | levels[64 + i] << 4);
        }
    }
    return best_along;
}

INLINE int32_t decode_u4(const uint8_t *code, size_t count, size_t bytes, int8_t *components) {
    for (size_t block = 0; block < bytes; block += 64) {
        for (size_t i = 0; i < 64; i++) {
            components[2 * block + i] = (int8_t)(2 * (code[block + i] & 15) - 15);
            components[2 * block + 64 + i] = (int8_t)(2 * (code[block + i] >> 4) - 15);
        }
    }
    for (size_t i = count; i < 2 * bytes; i++) {
        components[i] = 0;
    }
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += components[i];
    }
    return sum;
}

static springg_code encode_s8_portable(const float *vector, size_t count, size_t bytes, int8_t *code) {
    return encode_s8(vector, count, bytes, code);
}

static float encode_u4_portable(const float *vector, size_t count, size_t bytes, uint8_t *code) {
    return encode_u4(vector, count, bytes, code);
}

static int32_t decode_u4_portable(const uint8_t *code, size_t count, size_t bytes, int8_t *components) {
    return decode_u4(code, count, bytes, components);
}

static float loss_s8_portable(const float *vector, float scale, const int8_t *code, float factor, size_t count) {
    return loss_s8(vector, scale, code, factor, count);
}

static float (*chosen_loss)(const float *, float, const int8_t *, float, size_t) = loss_s8_portable;
static int32_t (*chosen_decode)(const uint8_t *, size_t, size_t, int8_t *) = decode_u4_portable;
static springg_code (*chosen_s8)(const float *, size_t, size_t, int8_t *) = encode_s8_portable;
static float (*chosen_u4)(const float *, size_t, size_t, uint8_t *) = encode_u4_portable;

#if defined(__x86_64__)
__attribute__((target("avx2"))) static springg_code encode_s8_avx2(
    const float *vector, size_t count, size_t bytes, int8_t *code
) {
    return encode_s8(vector, count, bytes, code);
}

__attribute__((target("avx2"))) static float encode_u4_avx2(
    const float *vector, size_t count, size_t bytes, uint8_t *code
) {
    return encode_u4(vector, count, bytes, code);
}

__attribute__((target("avx2"))) static int32_t decode_u4_avx2(
    const uint8_t *code, size_t count, size_t bytes, int8_t *components
) {
    return decode_u4(code, count, bytes, components);
}

__attribute__((target("avx2"))) static float loss_s8_avx2(
    const float *vector, float scale, const int8_t *code, float factor, size_t count
) {
    return loss_s8(vector, scale, code, factor, count);
}

__attribute__((constructor)) static void choose(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        chosen_s8 = encode_s8_avx2;
        chosen_u4 = encode_u4_avx2;
        chosen_decode = decode_u4_avx2;
        chosen_loss = loss_s8_avx2;
    }
}
#endif

springg_code springg_encode_s8(const float *vector, size_t count, size_t bytes, int8_t *code) {
    return chosen_s8(vector, count, bytes, code);
}

float springg_encode_u4(const float *vector, size_t count, size_t bytes, uint8_t *code) {
    return chosen_u4(vector, count, bytes, code);
}

int32_t springg_decode_u4(const uint8_t *code, size_t count, size_t bytes, int8_t *components) {
    return chosen_decode(code, count, bytes, components);
}

float springg_loss_s8(const float *vector, float scale, const int8_t *code, float factor, size_t count) {
    return chosen_loss(vector, scale, code, factor, count);
}
