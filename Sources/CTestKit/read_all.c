#include "testkit.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

// Eight independent accumulators: enough loads in flight that the memory, not the dependency chain, sets the pace.
__attribute__((target("avx2"))) static uint64_t read_all_avx2(const uint8_t *bytes, size_t length) {
    __m256i sum[8];
    for (int i = 0; i < 8; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    size_t at = 0;
    for (; at + 256 <= length; at += 256) {
        for (int i = 0; i < 8; i++) {
            sum[i] = _mm256_xor_si256(sum[i], _mm256_loadu_si256((const __m256i *)(bytes + at + 32 * i)));
        }
    }
    for (int i = 1; i < 8; i++) {
        sum[0] = _mm256_xor_si256(sum[0], sum[i]);
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)lanes, sum[0]);
    uint64_t rest = lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3];
    for (; at < length; at++) {
        rest ^= bytes[at];
    }
    return rest;
}
#endif

static uint64_t read_all_words(const uint8_t *bytes, size_t length) {
    uint64_t sum[4] = {0, 0, 0, 0};
    size_t at = 0;
    for (; at + 32 <= length; at += 32) {
        for (int i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, bytes + at + 8 * i, 8);
            sum[i] ^= word;
        }
    }
    uint64_t rest = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
    for (; at < length; at++) {
        rest ^= bytes[at];
    }
    return rest;
}

uint64_t testkit_read_all(const void *bytes, size_t length) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return read_all_avx2((const uint8_t *)bytes, length);
    }
#endif
    return read_all_words((const uint8_t *)bytes, length);
}

const char *testkit_read_width(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return "AVX2";
    }
#endif
    return "64-bit";
}
