#include "code_kernels.h"

// Dot products of 4-bit codes with a signed 8-bit query. A block of 64 bytes holds 128 components: byte i has component
// i in its low and component 64 + i in its high half, so that two masks give what lies side by side in the query.
// Components are 0 … 15; what they stand for, (component - 7.5), is the caller's affair. 65,536 × 15 × 127 stays below 2^31.

void springg_dots_u4_portable(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    for (size_t row = 0; row < count; row++) {
        const uint8_t *code = rows[row];
        int32_t sum = 0;
        for (size_t block = 0; block < bytes; block += 64) {
            const int8_t *q = query + 2 * block;
            for (size_t i = 0; i < 64; i++) {
                sum += (code[block + i] & 15) * q[i] + (code[block + i] >> 4) * q[64 + i];
            }
        }
        out[row] = (float)sum;
    }
}

static void (*chosen_dots_u4)(const int8_t *, const void *const *, size_t, size_t, float *) = springg_dots_u4_portable;
static void (*avx2_dots_u4)(const int8_t *, const void *const *, size_t, size_t, float *) = springg_dots_u4_portable;

#if defined(__x86_64__)
// Four products of at most 15 × 127 together are at most 7,620, which 16 bits hold.
__attribute__((target("avx2"), always_inline)) static inline __m256i step_avx2(
    __m256i sum, __m256i low_query, __m256i high_query, const uint8_t *row
) {
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256((const __m256i *)row);
    __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(bytes, mask), low_query);
    __m256i high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask), high_query);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1)));
}

__attribute__((target("avx2"), always_inline)) static inline __m128i four_u4_avx2(
    const int8_t *query, const void *const *four, size_t bytes
) {
    const uint8_t *r0 = four[0], *r1 = four[1], *r2 = four[2], *r3 = four[3];
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < bytes; i += 32) {
        // The second half of a block goes with the second half of each of the query's two parts.
        const int8_t *q = query + 2 * (i & ~(size_t)63) + (i & 32);
        __m256i low = _mm256_loadu_si256((const __m256i *)q);
        __m256i high = _mm256_loadu_si256((const __m256i *)(q + 64));
        s0 = step_avx2(s0, low, high, r0 + i);
        s1 = step_avx2(s1, low, high, r1 + i);
        s2 = step_avx2(s2, low, high, r2 + i);
        s3 = step_avx2(s3, low, high, r3 + i);
    }
    return sum_four(s0, s1, s2, s3);
}

__attribute__((target("avx2"))) static void dots_u4_avx2(
    const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out
) {
    dot_rows(four_u4_avx2, 0, query, rows, bytes, count, out);
}

VNNI_TARGET __attribute__((always_inline)) static inline __m512i step_vnni(
    __m512i sum, __m512i low_query, __m512i high_query, const uint8_t *row
) {
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i bytes = _mm512_loadu_si512(row);
    sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(bytes, mask), low_query);
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask), high_query);
}

VNNI_TARGET __attribute__((always_inline)) static inline __m128i four_u4_vnni(
    const int8_t *query, const void *const *four, size_t bytes
) {
    const uint8_t *r0 = four[0], *r1 = four[1], *r2 = four[2], *r3 = four[3];
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < bytes; i += 64) {
        __m512i low = _mm512_loadu_si512(query + 2 * i);
        __m512i high = _mm512_loadu_si512(query + 2 * i + 64);
        s0 = step_vnni(s0, low, high, r0 + i);
        s1 = step_vnni(s1, low, high, r1 + i);
        s2 = step_vnni(s2, low, high, r2 + i);
        s3 = step_vnni(s3, low, high, r3 + i);
    }
    return sum_four(halves(s0), halves(s1), halves(s2), halves(s3));
}

VNNI_TARGET static void dots_u4_vnni(
    const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out
) {
    dot_rows(four_u4_vnni, 0, query, rows, bytes, count, out);
}

__attribute__((constructor)) static void choose(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        chosen_dots_u4 = avx2_dots_u4 = dots_u4_avx2;
    }
    if (has_vnni()) {
        chosen_dots_u4 = dots_u4_vnni;
    }
}
#endif

void springg_dots_u4(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    chosen_dots_u4(query, rows, bytes, count, out);
}

void springg_dots_u4_avx2(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out) {
    avx2_dots_u4(query, rows, bytes, count, out);
}
