#include "springg.h"

// Codes of vectors. Portable: whoever writes a code has done a hundred times its work already. Sums are kept in lanes
// that the compiler may compute side by side; it may not reorder floating-point sums by itself.

#define LANES 16

static float sum_of(const float *lanes) {
    float sum = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

static float largest_of(const float *vector, size_t count) {
    float lanes[LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        float magnitude = vector[i] < 0 ? -vector[i] : vector[i];
        lanes[i % LANES] = magnitude > lanes[i % LANES] ? magnitude : lanes[i % LANES];
    }
    float largest = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    }
    return largest;
}

// Added and taken away again, it leaves a float between -2^22 and 2^22 rounded to the nearest whole number.
#define ROUNDER 12582912.0f

springg_code springg_encode_s8(const float *vector, size_t count, size_t bytes, int8_t *code) {
    float largest = largest_of(vector, count);
    float scale = largest > 0 ? 127 / largest : 0;
    for (size_t i = 0; i < count; i++) {
        code[i] = (int8_t)(int32_t)((vector[i] * scale + ROUNDER) - ROUNDER);
    }
    for (size_t i = count; i < bytes; i++) {
        code[i] = 0;
    }
    int32_t sum = 0, squares = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum += code[i];
        squares += (int32_t)code[i] * code[i];
    }
    springg_code result = {squares, sum};
    return result;
}

// The level that stands for `component` / step, 0 … 15 for -7.5 … 7.5.
static inline float level_of(float component, float inverse_step) {
    float level = component * inverse_step + 7.5f;
    level = level < 0 ? 0 : level > 15 ? 15 : level;
    return (level + ROUNDER) - ROUNDER;
}

typedef struct fit {
    float along;   // code · vector
    float square;  // code · code
} fit;

static fit fit_of(const float *vector, size_t count, float step) {
    float along[LANES] = {0}, square[LANES] = {0};
    float inverse = 1 / step;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float value = level_of(vector[i + lane], inverse) - 7.5f;
            along[lane] += value * vector[i + lane];
            square[lane] += value * value;
        }
    }
    for (; i < count; i++) {
        float value = level_of(vector[i], inverse) - 7.5f;
        along[0] += value * vector[i];
        square[0] += value * value;
    }
    fit result = {sum_of(along), sum_of(square)};
    return result;
}

// Steps that are tried, each so much smaller than the one before: from the one that cuts nothing off to a fifth of that.
#define STEPS_TRIED 14
#define STEP_RATIO 0.88f

float springg_encode_u4(const float *vector, size_t count, size_t bytes, uint8_t *code) {
    float largest = largest_of(vector, count);
    if (!(largest > 0)) {
        return 0;
    }
    // Relative to the largest component, so that squares neither overflow nor vanish.
    float step = largest / 7.5f, best_step = step, best = -1, along = 0;
    for (size_t tried = 0; tried < STEPS_TRIED; tried++, step *= STEP_RATIO) {
        fit now = fit_of(vector, count, step);
        float cosine = now.along / largest * (now.along / largest) / now.square;
        if (cosine > best) {
            best = cosine;
            best_step = step;
            along = now.along;
        }
    }
    for (size_t i = 0; i < bytes; i++) {
        code[i] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t level = (uint8_t)level_of(vector[i], 1 / best_step);
        code[i / 128 * 64 + i % 64] |= i % 128 < 64 ? level : (uint8_t)(level << 4);
    }
    return along;
}
