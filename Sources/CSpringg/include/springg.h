// Kernels: distances, checksums, hashes. Each fast path has its portable twin beside it, and the choice is made once,
// at load time, by what the processor can do; nothing here is compiled for more than the baseline of the platform.
#ifndef SPRINGG_H
#define SPRINGG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continued from `crc` (0 to begin).
uint32_t springg_crc32c(uint32_t crc, const void *bytes, size_t length);
uint32_t springg_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

typedef struct springg_hash128 {
    uint64_t low;
    uint64_t high;
} springg_hash128;

/// XXH3 (xxHash 0.8), 64 and 128 bits, with a seed.
uint64_t springg_xxh3_64(const void *bytes, size_t length, uint64_t seed);
springg_hash128 springg_xxh3_128(const void *bytes, size_t length, uint64_t seed);

/// Dot product of two vectors of `count` floats; no alignment needed.
float springg_dot(const float *a, const float *b, size_t count);
float springg_dot_portable(const float *a, const float *b, size_t count);

/// Dot products of `query` with `rows` consecutive rows that lie `stride` floats apart, into `out[0 ..< rows]`.
void springg_dot_rows(const float *query, const float *rows, size_t stride, size_t count, size_t row_count, float *out);
void springg_dot_rows_portable(
    const float *query, const float *rows, size_t stride, size_t count, size_t row_count, float *out);

/// Dot product and squared length in double precision: exact enough for components at the limits of float32, where the
/// float kernels overflow. A cold path.
double springg_dot_double(const float *a, const float *b, size_t count);

/// Dot products of `query` with `count` rows (at least 1) of signed 8-bit codes, each -127 … 127, into `out`. `bytes` is a
/// multiple of 64; no alignment needed. The rows are asked for ahead of their use.
void springg_dots_s8(const int8_t *query, const int8_t *const *rows, size_t bytes, size_t count, int32_t *out);
void springg_dots_s8_portable(
    const int8_t *query, const int8_t *const *rows, size_t bytes, size_t count, int32_t *out);
/// The AVX2 kernel where there is one, also on a processor that has a better one: for tests.
void springg_dots_s8_avx2(const int8_t *query, const int8_t *const *rows, size_t bytes, size_t count, int32_t *out);

/// Asks for the cache line at `address`, which need not be readable.
static inline void springg_prefetch(const void *address) { __builtin_prefetch(address); }

/// Lets every other thread go before the calling one: only its own nice value is raised, to `nice`.
void springg_lower_priority(int nice);

/// Waits for a `sem_t`, at most so long by the clock that is never set; returns whether it came.
bool springg_semaphore_wait(void *semaphore, uint64_t nanoseconds);

/// Names the calling thread for the tools that show threads; at most 15 bytes are kept.
void springg_name_thread(const char *name);

/// True when the kernels above run on AVX2 and FMA.
bool springg_has_avx2(void);

#ifdef __cplusplus
}
#endif

#endif
