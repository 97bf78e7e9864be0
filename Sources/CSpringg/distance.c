#include "springg.h"

// Four independent sums hide the latency of the additions; the compiler may not reorder floating-point sums by itself.
float springg_dot_portable(const float *a, const float *b, size_t count) {
    float lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t lane = 0; lane < 16; lane++) {
            lanes[lane] += a[i + lane] * b[i + lane];
        }
    }
    float sum = 0;
    for (size_t lane = 0; lane < 16; lane++) {
        sum += lanes[lane];
    }
    for (; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

void springg_dot_rows_portable(
    const float *query, const float *rows, size_t stride, size_t count, size_t row_count, float *out
) {
    for (size_t row = 0; row < row_count; row++) {
        out[row] = springg_dot_portable(query, rows + row * stride, count);
    }
}

void springg_dots_f32_portable(
    const float *query, const void *const *rows, size_t count, size_t row_count, float *out
) {
    for (size_t row = 0; row < row_count; row++) {
        out[row] = springg_dot_portable(query, rows[row], count);
    }
}

// The product of two floats is exact in double precision: with or without fused additions the sum is the same.
__attribute__((always_inline)) static inline double dot_double(const float *a, const float *b, size_t count) {
    double lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t lane = 0; lane < 16; lane++) {
            lanes[lane] += (double)a[i + lane] * (double)b[i + lane];
        }
    }
    double sum = 0;
    for (size_t lane = 0; lane < 16; lane++) {
        sum += lanes[lane];
    }
    for (; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static double dot_double_portable(const float *a, const float *b, size_t count) { return dot_double(a, b, count); }

static double (*chosen_dot_double)(const float *, const float *, size_t) = dot_double_portable;
static float (*chosen_dot)(const float *, const float *, size_t) = springg_dot_portable;
static void (*chosen_dot_rows)(
    const float *, const float *, size_t, size_t, size_t, float *) = springg_dot_rows_portable;
static void (*chosen_dots_f32)(
    const float *, const void *const *, size_t, size_t, float *) = springg_dots_f32_portable;
static bool has_avx2 = false;

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static inline float sum_lanes(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_shuffle_ps(half, half, 1));
    return _mm_cvtss_f32(half);
}

// Bytes ahead of the row in hand that are asked for: the hardware prefetcher stops at page ends, and a row of 1,024
// floats is exactly one page.
#define PREFETCH_BYTES 4096

/// `prefetches` is a constant wherever this is inlined: rows are followed by rows, a single vector by nothing.
__attribute__((target("avx2,fma"), always_inline)) static inline float dot_avx2(
    const float *row, const float *query, size_t count, bool prefetches
) {
    const char *ahead = (const char *)row + PREFETCH_BYTES;
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        if (prefetches) {
            _mm_prefetch(ahead + i * 4, _MM_HINT_T0);
            _mm_prefetch(ahead + i * 4 + 64, _MM_HINT_T0);
        }
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(row + i), _mm256_loadu_ps(query + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(row + i + 8), _mm256_loadu_ps(query + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(row + i + 16), _mm256_loadu_ps(query + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(row + i + 24), _mm256_loadu_ps(query + i + 24), s3);
    }
    for (; i + 8 <= count; i += 8) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(row + i), _mm256_loadu_ps(query + i), s0);
    }
    float sum = sum_lanes(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    for (; i < count; i++) {
        sum += row[i] * query[i];
    }
    return sum;
}

__attribute__((target("avx2,fma"))) static float dot_avx2_entry(const float *a, const float *b, size_t count) {
    return dot_avx2(a, b, count, false);
}

__attribute__((target("avx2,fma"))) static void dot_rows_avx2(
    const float *query, const float *rows, size_t stride, size_t count, size_t row_count, float *out
) {
    for (size_t row = 0; row < row_count; row++) {
        out[row] = dot_avx2(rows + row * stride, query, count, true);
    }
}

__attribute__((target("avx2,fma"))) static double dot_double_avx2(const float *a, const float *b, size_t count) {
    return dot_double(a, b, count);
}

// Rows asked for ahead of the one in hand.
#define ROWS_AHEAD 3

static inline void prefetch_row(const void *row, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        _mm_prefetch((const char *)row + i, _MM_HINT_T0);
    }
}

__attribute__((target("avx2,fma"))) static void dots_f32_avx2(
    const float *query, const void *const *rows, size_t count, size_t row_count, float *out
) {
    for (size_t row = 0; row < ROWS_AHEAD && row < row_count; row++) {
        prefetch_row(rows[row], count * 4);
    }
    for (size_t row = 0; row < row_count; row++) {
        if (row + ROWS_AHEAD < row_count) {
            prefetch_row(rows[row + ROWS_AHEAD], count * 4);
        }
        out[row] = dot_avx2(rows[row], query, count, false);
    }
}

__attribute__((constructor)) static void choose(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        chosen_dot = dot_avx2_entry;
        chosen_dot_double = dot_double_avx2;
        chosen_dot_rows = dot_rows_avx2;
        chosen_dots_f32 = dots_f32_avx2;
        has_avx2 = true;
    }
}
#endif

float springg_dot(const float *a, const float *b, size_t count) { return chosen_dot(a, b, count); }

double springg_dot_double(const float *a, const float *b, size_t count) { return chosen_dot_double(a, b, count); }

void springg_dot_rows(
    const float *query, const float *rows, size_t stride, size_t count, size_t row_count, float *out
) {
    chosen_dot_rows(query, rows, stride, count, row_count, out);
}

void springg_dots_f32(const float *query, const void *const *rows, size_t count, size_t row_count, float *out) {
    chosen_dots_f32(query, rows, count, row_count, out);
}

bool springg_has_avx2(void) { return has_avx2; }
