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

/// The same for rows that lie anywhere; each product is, bit for bit, what springg_dot_rows gives.
void springg_dots_f32(const float *query, const void *const *rows, size_t count, size_t row_count, float *out);
void springg_dots_f32_portable(
    const float *query, const void *const *rows, size_t count, size_t row_count, float *out);

/// Dot product and squared length in double precision: exact enough for components at the limits of float32, where the
/// float kernels overflow.
double springg_dot_double(const float *a, const float *b, size_t count);

/// Dot products of a signed 8-bit query (-127 … 127) with `count` rows (at least 1) of signed 8-bit codes of `bytes` bytes,
/// a multiple of 64. No alignment needed. The rows are asked for ahead of their use.
void springg_dots_s8(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);
void springg_dots_s8_portable(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);
/// The AVX2 kernel where there is one, also on a processor that has a better one: for tests.
void springg_dots_s8_avx2(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);

/// The same with rows of 4-bit codes: `bytes` bytes, a multiple of 64, for a query of twice as many components.
void springg_dots_u4(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);
void springg_dots_u4_portable(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);
void springg_dots_u4_avx2(const int8_t *query, const void *const *rows, size_t bytes, size_t count, float *out);

typedef struct springg_code {
    int32_t squares;   // sum of the squares of the components
    int32_t sum;       // sum of the components
} springg_code;

/// Writes round(127 × component / largest) for each component of a vector, and zeros up to `bytes`.
springg_code springg_encode_s8(const float *vector, size_t count, size_t bytes, int8_t *code);

/// Sum of the squares of component × scale - code × factor: of the difference between a vector and its code.
float springg_loss_s8(const float *vector, float scale, const int8_t *code, float factor, size_t count);

/// Writes the 4-bit code that lies closest to the vector's direction, of `bytes` bytes, as springg_dots_u4 reads it; returns the
/// dot product of the code (component - 7.5) with the vector. Zero, and no code, for a vector of zeros.
float springg_encode_u4(const float *vector, size_t count, size_t bytes, uint8_t *code);

/// Writes what the first `count` components of a 4-bit code stand for, doubled (-15 … 15), and zeros behind them up to
/// `bytes` × 2: a query of springg_dots_u4. Returns their sum.
int32_t springg_decode_u4(const uint8_t *code, size_t count, size_t bytes, int8_t *components);

/// Asks for the cache line at `address`, which need not be readable.
static inline void springg_prefetch(const void *address) { __builtin_prefetch(address); }

/// Lets every other thread go before the calling one: only its own nice value is raised, to `nice`.
void springg_lower_priority(int nice);

/// Waits for a `sem_t`, at most so long by the clock that is never set; returns whether it came.
bool springg_semaphore_wait(void *semaphore, uint64_t nanoseconds);

/// Names the calling thread for the tools that show threads; at most 15 bytes are kept.
void springg_name_thread(const char *name);

/// Parts of a request's way on a thread, for whom measures where processor time goes; all but `other` are summed up.
enum { SPRINGG_STAGE_OTHER, SPRINGG_STAGE_JSON, SPRINGG_STAGE_WORK, SPRINGG_STAGES };

/// Has stages measured from now on, on all threads.
void springg_stages_measure(void);
bool springg_stages_measured(void);

/// Ends the calling thread's stage and begins another; returns the one that ended.
int springg_stage_enter(int stage);

/// Processor time of a stage on all threads so far.
uint64_t springg_stage_nanoseconds(int stage);

/// True when the kernels above run on AVX2 and FMA.
bool springg_has_avx2(void);

#ifdef __cplusplus
}
#endif

#endif
