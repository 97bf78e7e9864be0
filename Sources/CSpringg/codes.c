#include "code_kernels.h"

// Dot products of signed 8-bit codes. Components lie in -127 … 127 and lengths are multiples of 64, so that the fast
// paths have no tails: 65,536 × 127 × 127 stays below 2^31. Sums are whole numbers until they are written as floats.

void springg_dots_s8_portable(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    for (size_t row = 0; row < count; row++) {
        const int8_t *code = rows[row];
        int32_t sum = 0;
        for (size_t i = 0; i < bytes; i++) {
            sum += (int32_t)query[i] * (int32_t)code[i];
        }
        out[row] = (float)sum;
    }
}

static void (*chosen_dots_s8)(const int8_t *, const void *const *, size_t, size_t, float *) = springg_dots_s8_portable;
static void (*avx2_dots_s8)(const int8_t *, const void *const *, size_t, size_t, float *) = springg_dots_s8_portable;

#if defined(__x86_64__)
// |q| × (row with q's sign) = q × row, as the instruction wants one side unsigned. Two products together are at most
// 2 × 127 × 127, which 16 bits hold.
__attribute__((target("avx2"), always_inline)) static inline __m256i step_avx2(
    __m256i sum, __m256i q, __m256i magnitude, const int8_t *row
) {
    __m256i signed_row = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)row), q);
    __m256i pairs = _mm256_maddubs_epi16(magnitude, signed_row);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

__attribute__((target("avx2"), always_inline)) static inline __m128i four_s8_avx2(
    const int8_t *query, const void *const *four, size_t bytes
) {
    const int8_t *r0 = four[0], *r1 = four[1], *r2 = four[2], *r3 = four[3];
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < bytes; i += 32) {
        __m256i q = _mm256_loadu_si256((const __m256i *)(query + i));
        __m256i magnitude = _mm256_abs_epi8(q);
        s0 = step_avx2(s0, q, magnitude, r0 + i);
        s1 = step_avx2(s1, q, magnitude, r1 + i);
        s2 = step_avx2(s2, q, magnitude, r2 + i);
        s3 = step_avx2(s3, q, magnitude, r3 + i);
    }
    return sum_four(s0, s1, s2, s3);
}

__attribute__((target("avx2"))) static void dots_s8_avx2(
    const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out
) {
    dot_rows(four_s8_avx2, 0, query, rows, bytes, count, out);
}

// (row + 128) × q, unsigned by signed, and 128 × the sum of q taken off at the end.
VNNI_TARGET __attribute__((always_inline)) static inline __m512i step_vnni(__m512i sum, __m512i q, const int8_t *row) {
    __m512i shifted = _mm512_xor_si512(_mm512_loadu_si512(row), _mm512_set1_epi8((char)0x80));
    return _mm512_dpbusd_epi32(sum, shifted, q);
}

VNNI_TARGET __attribute__((always_inline)) static inline __m128i four_s8_vnni(
    const int8_t *query, const void *const *four, size_t bytes
) {
    const int8_t *r0 = four[0], *r1 = four[1], *r2 = four[2], *r3 = four[3];
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < bytes; i += 64) {
        __m512i q = _mm512_loadu_si512(query + i);
        s0 = step_vnni(s0, q, r0 + i);
        s1 = step_vnni(s1, q, r1 + i);
        s2 = step_vnni(s2, q, r2 + i);
        s3 = step_vnni(s3, q, r3 + i);
    }
    return sum_four(halves(s0), halves(s1), halves(s2), halves(s3));
}

VNNI_TARGET static void dots_s8_vnni(
    const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out
) {
    __m512i offset = _mm512_setzero_si512();
    for (size_t i = 0; i < bytes; i += 64) {
        offset = _mm512_dpbusd_epi32(offset, _mm512_set1_epi8((char)0x80), _mm512_loadu_si512(query + i));
    }
    dot_rows(four_s8_vnni, _mm512_reduce_add_epi32(offset), query, rows, bytes, count, out);
}

__attribute__((constructor)) static void choose(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        chosen_dots_s8 = avx2_dots_s8 = dots_s8_avx2;
    }
    if (has_vnni()) {
        chosen_dots_s8 = dots_s8_vnni;
    }
}
#endif

void springg_dots_s8(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    chosen_dots_s8(query, rows, bytes, count, out);
}

void springg_dots_s8_avx2(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    avx2_dots_s8(query, rows, bytes, count, out);
}
