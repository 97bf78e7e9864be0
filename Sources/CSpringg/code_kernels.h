// What the kernels on codes share. Included by their files only.
#ifndef SPRINGG_CODE_KERNELS_H
#define SPRINGG_CODE_KERNELS_H

#include "springg.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Rows computed at once: their sums are independent, which hides the latency of the additions.
#define ROWS_AT_ONCE 4
// Rows asked for ahead of those in hand: the unseen neighbours of most nodes all at once.
#define ROWS_AHEAD 16

#define VNNI_TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

__attribute__((always_inline)) static inline void prefetch_rows(
    const void *const *rows, size_t bytes, size_t from, size_t to
) {
    for (size_t row = from; row < to; row++) {
        for (size_t i = 0; i < bytes; i += 64) {
            _mm_prefetch((const char *)rows[row] + i, _MM_HINT_T0);
        }
    }
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

__attribute__((target("avx2"), always_inline)) static inline __m128i sum_four(
    __m256i s0, __m256i s1, __m256i s2, __m256i s3
) {
    __m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

__attribute__((target("avx2"), always_inline)) static inline void store_sums(__m128i sums, float *out, size_t room) {
    float four[ROWS_AT_ONCE];
    _mm_storeu_ps(four, _mm_cvtepi32_ps(sums));
    for (size_t lane = 0; lane < smaller(ROWS_AT_ONCE, room); lane++) {
        out[lane] = four[lane];
    }
}

VNNI_TARGET __attribute__((always_inline)) static inline __m256i halves(__m512i sum) {
    return _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
}

/// The dot products of four rows: what a kernel is about.
typedef __m128i (*four_dots)(const int8_t *query, const void *const *four, size_t bytes);

/// Goes through the rows four at a time, and takes `offset` from each of their sums. It and `dots` become one function.
__attribute__((target("avx2"), always_inline)) static inline void dot_rows(
    four_dots dots, int32_t offset, const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out
) {
    prefetch_rows(rows, bytes, 0, smaller(count, ROWS_AHEAD));
    for (size_t row = 0; row < count; row += ROWS_AT_ONCE) {
        prefetch_rows(rows, bytes, smaller(count, row + ROWS_AHEAD), smaller(count, row + ROWS_AHEAD + ROWS_AT_ONCE));
        // Beyond the last row the last one is computed again: cheaper than a second loop.
        const void *four[ROWS_AT_ONCE] = {
            rows[row], rows[smaller(row + 1, count - 1)], rows[smaller(row + 2, count - 1)],
            rows[smaller(row + 3, count - 1)],
        };
        store_sums(_mm_sub_epi32(dots(query, four, bytes), _mm_set1_epi32(offset)), out + row, count - row);
    }
}

/// Whether the processor has what VNNI_TARGET says.
static inline bool has_vnni(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

#endif
