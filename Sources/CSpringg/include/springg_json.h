// A strict pull reader for JSON (RFC 8259), and shortest round-trip number formatting.
//
// The reader walks the request bytes in place: it allocates nothing, copies only what the caller asks for, and
// writes the numbers of an array of numbers straight into a float buffer. It accepts exactly RFC 8259: no trailing
// commas, no comments, no leading zeros, no bare "+", no NaN, no control characters in strings, only valid UTF-8
// (no surrogates, no overlong forms; a lone \uD800 escape is refused too), at most SPRINGG_JSON_DEPTH_MAX levels.
// The bytes need no padding behind them; nothing beyond `end` is ever read.
#ifndef SPRINGG_JSON_H
#define SPRINGG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Levels of nesting that a document may have.
#define SPRINGG_JSON_DEPTH_MAX 64

typedef enum springg_json_status {
    SPRINGG_JSON_OK = 0,
    SPRINGG_JSON_SYNTAX,      // not JSON
    SPRINGG_JSON_TRUNCATED,   // the bytes end inside the document
    SPRINGG_JSON_UTF8,        // a string is not valid UTF-8, or escapes half a surrogate pair
    SPRINGG_JSON_DEPTH,       // nested deeper than SPRINGG_JSON_DEPTH_MAX
    SPRINGG_JSON_TYPE,        // well formed so far, but another type than the caller asked for
    SPRINGG_JSON_RANGE,       // a number that float32 (or int64) cannot hold as a finite value
    SPRINGG_JSON_TRAILING,    // something but white space follows the document
} springg_json_status;

typedef enum springg_json_kind {
    SPRINGG_JSON_END = 0,   // no value here (end of the bytes, or a byte no value starts with)
    SPRINGG_JSON_OBJECT,
    SPRINGG_JSON_ARRAY,
    SPRINGG_JSON_STRING,
    SPRINGG_JSON_NUMBER,
    SPRINGG_JSON_BOOL,
    SPRINGG_JSON_NULL,
} springg_json_kind;

typedef struct springg_json_slice {
    const uint8_t *start;
    size_t length;
} springg_json_slice;

/// A place in a document. `cursor - begin` is the offset of the error after a call that failed.
/// After a failure no further call may be made on the reader.
typedef struct springg_json {
    const uint8_t *begin;
    const uint8_t *cursor;
    const uint8_t *end;
    uint32_t depth;
    bool first;   // no member of the innermost open object or array has been read yet
} springg_json;

void springg_json_start(springg_json *reader, const void *bytes, size_t length);

/// The kind of the next value, judged by its first byte; consumes white space only.
springg_json_kind springg_json_peek(springg_json *reader);

/// Consumes '{' of the next value. Then call springg_json_object_next until it says there are no more members; for each
/// member consume exactly one value in between.
springg_json_status springg_json_object_begin(springg_json *reader);
/// `key` is the raw text between the quotes, checked, escapes not decoded: compare with springg_json_key_is.
springg_json_status springg_json_object_next(springg_json *reader, bool *more, springg_json_slice *key);

springg_json_status springg_json_array_begin(springg_json *reader);
springg_json_status springg_json_array_next(springg_json *reader, bool *more);

/// Consumes and fully validates the next value, whatever it is; `raw` is its text without surrounding white space.
/// A number that is only passed over may be of any size.
springg_json_status springg_json_skip(springg_json *reader, springg_json_slice *raw);

/// Consumes a string. Decodes it (escapes resolved) into `out` as far as `capacity` goes; `length` is the whole
/// decoded length in bytes, which may be larger than `capacity`. `out` may be null when `capacity` is 0.
springg_json_status springg_json_string(springg_json *reader, uint8_t *out, size_t capacity, size_t *length);

springg_json_status springg_json_bool(springg_json *reader, bool *out);
/// Consumes a number that is an integer in int64, written without fraction or exponent: TYPE for "1.0" and "1e2", RANGE
/// for one that does not fit.
springg_json_status springg_json_integer(springg_json *reader, int64_t *out);
/// Consumes a number as the nearest double; RANGE when it is not finite.
springg_json_status springg_json_double(springg_json *reader, double *out);

/// Consumes an array of numbers. The first `capacity` go into `out`, each the float32 nearest to the decimal (ties to
/// even, rounded once); `count` is how many the array holds, which may be more than `capacity`.
/// RANGE when one is beyond the finite float32 range.
springg_json_status springg_json_floats(springg_json *reader, float *out, size_t capacity, size_t *count);

/// Succeeds when only white space is left.
springg_json_status springg_json_finish(springg_json *reader);

/// True when the decoded key equals `name` (ASCII), ignoring ASCII case.
bool springg_json_key_is(springg_json_slice key, const char *name);

/// Bytes that springg_format_float and springg_format_double write at most.
#define SPRINGG_NUMBER_MAX 32

/// Shortest JSON text that reads back as the same value; returns its length. `value` must be finite.
size_t springg_format_float(float value, char *out);
size_t springg_format_double(double value, char *out);
/// Writes `count` numbers separated by commas (no brackets); `out` must hold count * (SPRINGG_NUMBER_MAX + 1) bytes.
size_t springg_format_floats(const float *values, size_t count, char *out);

/// Appends `bytes` as the inside of a JSON string (no quotes): `"`, `\` and control characters escaped, the rest as it is.
/// `out` must hold length * 6 bytes. Returns the length written.
size_t springg_json_escape(const uint8_t *bytes, size_t length, char *out);

/// True when the bytes are valid UTF-8.
bool springg_utf8_valid(const uint8_t *bytes, size_t length);

#ifdef __cplusplus
}
#endif

#endif
