// simdjson behind a C interface: the oracle of the reader's tests and its peer in the benchmark. The server does not
// use it.
#ifndef SPRINGG_SIMDJSON_H
#define SPRINGG_SIMDJSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A DOM parser with its buffers, to be used again and again by one thread.
typedef struct springg_simdjson springg_simdjson;

springg_simdjson *springg_simdjson_create(void);
void springg_simdjson_destroy(springg_simdjson *parser);

/// True when the bytes are one JSON document.
bool springg_simdjson_accepts(springg_simdjson *parser, const void *bytes, size_t length);

/// Parses `{"id": …, "vector": […], …}` and copies the vector's first `capacity` numbers to `out`. Returns how many
/// numbers it holds, or -1 when the bytes are not such a document.
ptrdiff_t springg_simdjson_vector(
    springg_simdjson *parser, const void *bytes, size_t length, float *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
