// Arrays of numbers, read straight into a float buffer.
//
// The commas of a kilobyte are found first. So both ends of every number are known before it is read, no number waits
// for the one before it, and the processor works on several at once. Then sixteen characters are checked together and
// weighed together. SSE2 is enough for it and every x86-64 has it; built for AVX2 it is 2 to 5% faster, so there
// is no second version to choose at run time. Other processors read the numbers one by one, as all do near the
// end of the bytes.
#include "json_decimal.h"

#include <math.h>

#if defined(__SSE2__)
#include <emmintrin.h>

/// Bytes searched for commas at once. Large enough that a mispredicted end of the list is rare, small enough that
/// searching beyond the array's end costs little.
#define CHUNK_BYTES 1024

/// Writes the offsets of the commas among the `length` bytes at `at`, a multiple of 64, and returns how many there are.
/// `offsets` has room for 8 more than there are bytes.
static inline size_t find_commas(const uint8_t *at, size_t length, uint16_t *offsets) {
    const __m128i comma = _mm_set1_epi8(',');
    size_t total = 0;
    for (size_t block = 0; block < length; block += 64) {
        uint64_t mask = 0;
        __m128i sum = _mm_setzero_si128();
        for (unsigned i = 0; i < 4; i++) {
            const __m128i group = _mm_loadu_si128((const __m128i *)(at + block + 16 * i));
            const __m128i equal = _mm_cmpeq_epi8(group, comma);
            mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << (16 * i);
            sum = _mm_sub_epi8(sum, equal);
        }
        const __m128i halves = _mm_sad_epu8(sum, _mm_setzero_si128());
        const unsigned count = (unsigned)_mm_cvtsi128_si32(halves) + (unsigned)_mm_extract_epi16(halves, 4);
        // Eight are written whatever the count: that is cheaper than a branch that nobody can predict. The top bit
        // stands in when no comma is left; what it yields is overwritten by the next block.
        uint16_t *next = offsets + total;
        for (unsigned i = 0; i < 8; i++) {
            next[i] = (uint16_t)(block + (unsigned)__builtin_ctzll(mask | 1ull << 63));
            mask &= mask - 1;
        }
        for (unsigned written = 8; __builtin_expect(written < count, 0); written += 8) {
            for (unsigned i = written; i < written + 8; i++) {
                next[i] = (uint16_t)(block + (unsigned)__builtin_ctzll(mask | 1ull << 63));
                mask &= mask - 1;
            }
        }
        total += count;
    }
    return total;
}

/// A group of sixteen bytes that keeps the last `count` of another one when both are joined by "and".
static inline __m128i last_bytes(size_t count) {
    static const uint8_t window[32] = {[16] = 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                       0xFF,        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    return _mm_loadu_si128((const __m128i *)(window + count));
}

/// Sixteen characters as numbers: digits become 0 to 9, everything else is more.
static inline __m128i load_digits(const uint8_t *at) {
    return _mm_sub_epi8(_mm_loadu_si128((const __m128i *)at), _mm_set1_epi8('0'));
}

/// One bit for each of sixteen characters that is no digit, the first one lowest.
static inline uint32_t others(__m128i digits) {
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(digits, _mm_set1_epi8(10)), digits));
}

static inline uint64_t sixteen_digits(__m128i digits) {
    // Neighbours are joined: digits to pairs in 16 bits, pairs to fours in 32, fours (narrowed) to eights.
    __m128i pairs = _mm_mullo_epi16(_mm_and_si128(digits, _mm_set1_epi16(0xFF)), _mm_set1_epi16(10));
    pairs = _mm_add_epi16(pairs, _mm_srli_epi16(digits, 8));
    const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 | 1 << 16));
    const __m128i eights = _mm_madd_epi16(_mm_packs_epi32(fours, fours), _mm_set1_epi32(10000 | 1 << 16));
    const uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
    return (both & 0xFFFFFFFF) * 100000000 + (both >> 32);
}

/// What was read of a number: digits * 10^-places, `error_max` being that of the double made of it.
struct digits {
    uint64_t value;
    int places;
    uint32_t error_max;
};

/// Of a long fraction sixteen digits are weighed and the rest only checked. With at least this value in front of it
/// what is dropped is less than 1e-12 of the number, 9008 units in the last place of a double.
#define LONG_DIGITS_MIN 1000000000000
#define LONG_ERROR_MAX 16384

/// Reads one digit, a point, and the 1 to 32 digits of a fraction: what nearly every number of a vector looks like.
static inline bool read_fraction(const uint8_t *at, const uint8_t *stop, struct digits *out) {
    const uint8_t *fraction = at + 2;
    const size_t length = (size_t)(stop - fraction);
    const uint64_t lead = (uint64_t)(at[0] - '0');
    if (lead > 9 || length - 1 >= 32) return false;
    if (length <= 16) {
        const __m128i digits = _mm_and_si128(load_digits(stop - 16), last_bytes(length));
        if (others(digits) != 0) return false;
        *out = (struct digits){lead * springg_integer_powers[length] + sixteen_digits(digits), (int)length, ERROR_MAX};
        return true;
    }
    const __m128i digits = load_digits(fraction);
    if ((others(digits) | others(load_digits(stop - 16))) != 0) return false;
    *out = (struct digits){lead * springg_integer_powers[16] + sixteen_digits(digits), 16, LONG_ERROR_MAX};
    return out->value >= LONG_DIGITS_MIN;
}

/// Reads 1 to 16 characters that are digits with at most one point among them.
static inline bool read_short(const uint8_t *at, const uint8_t *stop, struct digits *out) {
    const size_t length = (size_t)(stop - at);
    if (length - 1 >= 16) return false;
    __m128i digits = load_digits(stop - 16);
    const uint32_t point = others(digits) >> (16 - length);
    if (point == 0) {
        if (length > 1 && *at == '0') return false;
        *out = (struct digits){sixteen_digits(_mm_and_si128(digits, last_bytes(length))), 0, ERROR_MAX};
        return true;
    }
    const size_t before = (size_t)__builtin_ctz(point);
    const size_t behind = length - 1 - before;
    if ((point & (point - 1)) != 0 || at[before] != '.' || before == 0 || behind == 0) return false;
    if (*at == '0' && before > 1) return false;
    // The digits before the point move up by one to close the gap: they are read again from one byte earlier.
    const __m128i fraction = last_bytes(behind);
    const __m128i moved = load_digits(stop - 17);
    digits = _mm_or_si128(_mm_and_si128(fraction, digits), _mm_andnot_si128(fraction, moved));
    digits = _mm_and_si128(digits, last_bytes(length - 1));
    *out = (struct digits){sixteen_digits(digits), (int)behind, ERROR_MAX};
    return true;
}

/// Bytes before the end of a number that simple_float may read, whether they belong to the number or not: an exponent
/// and the 17 of read_short.
#define BYTES_BEFORE 21

/// Reads the number between `at` and `stop` when it has one of the two forms above, perhaps with an exponent of two
/// digits behind it: "-0.0123", "128", "1.5e-05". False when it has another form, is wrong, or is not sure to be
/// rounded correctly. The byte at `stop` is readable.
static inline bool simple_float(const uint8_t *at, const uint8_t *stop, float *out) {
    const uint32_t negative = *at == '-';
    at += negative;
    int exponent = -POWER_MIN;
    if ((stop[-4] | 0x20) == 'e' && stop - at > 4) {
        const unsigned tens = (unsigned)stop[-2] - '0', ones = (unsigned)stop[-1] - '0';
        if (tens > 3 || ones > 9 || (stop[-3] != '-' && stop[-3] != '+')) return false;
        const int value = (int)(tens * 10 + ones);
        if (value > POWER_MAX) return false;
        exponent += stop[-3] == '-' ? -value : value;
        stop -= 4;
    }
    if (at == stop) return false;
    struct digits digits;
    if (!(at[1] == '.' ? read_fraction(at, stop, &digits) : read_short(at, stop, &digits))) return false;
    exponent -= digits.places;
    if (exponent < 0) return false;
    float result;
    const double approximation = (double)(int64_t)digits.value * springg_powers[exponent];
    if (!springg_nearest_float(approximation, digits.error_max, &result)) return false;
    *out = springg_negated_if(result, negative);
    return isfinite(result);
}

/// Reads numbers as long as a comma follows each within the next chunk. Returns where the first one starts that it
/// left: the array's last, a wrong one, or one near the end of the bytes.
static const uint8_t *floats_before_commas(
    const springg_json *reader, const uint8_t *at, float *out, size_t capacity, size_t *count
) {
    uint16_t offsets[CHUNK_BYTES + 8];
    const uint8_t *end = reader->end;
    size_t filled = *count;
    for (;;) {
        const size_t left = (size_t)(end - at);
        const uint8_t *chunk = at;
        const size_t commas = find_commas(chunk, left < CHUNK_BYTES ? left & ~(size_t)63 : CHUNK_BYTES, offsets);
        for (size_t i = 0; i < commas; i++) {
            const uint8_t *comma = chunk + offsets[i];
            const uint8_t *start = at;
            float value;
            // The comma itself ends this loop at the latest.
            while (*start <= ' ' && springg_is_space(*start)) start++;
            if (comma - reader->begin < BYTES_BEFORE || !simple_float(start, comma, &value)) {
                const uint8_t *stop;
                if (springg_scan_float(start, comma, &stop, &value) != SPRINGG_JSON_OK
                    || springg_past_space(stop, comma) != comma) {
                    goto done;
                }
            }
            if (filled < capacity) out[filled] = value;
            filled++;
            at = comma + 1;
        }
        if (at == chunk) break;
    }
done:
    *count = filled;
    return at;
}

#endif

springg_json_status springg_json_floats(springg_json *reader, float *out, size_t capacity, size_t *count) {
    springg_json_status status = springg_json_array_begin(reader);
    if (status != SPRINGG_JSON_OK) return status;
    const uint8_t *end = reader->end;
    const uint8_t *at = springg_past_space(reader->cursor, end);
    size_t filled = 0;
    if (at == end || *at != ']') {
        for (;;) {
#if defined(__SSE2__)
            at = floats_before_commas(reader, at, out, capacity, &filled);
#endif
            float value;
            reader->cursor = springg_past_space(at, end);
            if (springg_json_peek(reader) != SPRINGG_JSON_NUMBER) return springg_json_unexpected(reader);
            status = springg_scan_float(reader->cursor, end, &reader->cursor, &value);
            if (status != SPRINGG_JSON_OK) return status;
            if (filled < capacity) out[filled] = value;
            filled++;
            at = reader->cursor = springg_past_space(reader->cursor, end);
            if (at == end) return SPRINGG_JSON_TRUNCATED;
            if (*at == ']') break;
            if (*at != ',') return SPRINGG_JSON_SYNTAX;
            at++;
        }
    }
    reader->cursor = at + 1;
    reader->depth--;
    reader->first = false;
    *count = filled;
    return SPRINGG_JSON_OK;
}
