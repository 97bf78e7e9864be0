// Numbers of the JSON reader.
//
// A float32 is found in three ways, each taking what the one before declines:
//   1. arrays, 16 bytes at a time: the commas of a kilobyte are found first, so that every number's two ends are known
//      before it is read and the processor works on several at once; then all digits of a fraction are weighed together;
//   2. any number that has at most 19 digits, or whose first 19 decide: one multiplication in double, see `nearest_float`;
//   3. springg_round_float, which is exact for any text.
#include "json_scan.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight digits at a time expect the first digit in the lowest byte"
#endif

// MARK: Digits

static const uint64_t powers_of_ten[20] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    10000000000000000000u,
};

/// Value of eight digits, given as numbers 0 to 9, the first one in the lowest byte.
static inline uint64_t eight_digits(uint64_t digits) {
    digits = digits * 10 + (digits >> 8);                                          // pairs, in bytes 0, 2, 4, 6
    const uint64_t first = (digits & 0x000000FF000000FF) * (100 + (1000000ull << 32));   // pairs 1 and 3
    const uint64_t second = ((digits >> 16) & 0x000000FF000000FF) * (1 + (10000ull << 32));   // pairs 2 and 4
    return (first + second) >> 32;
}

/// Reads digits as far as they go and weighs them into `value`, which wraps beyond 19 of them.
static inline const uint8_t *read_digits(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    uint64_t sum = *value;
    while (end - at >= 8) {
        uint64_t group;
        memcpy(&group, at, 8);
        group ^= 0x3030303030303030;
        // The top bit of a byte is set when it is no digit. Carries go upwards only, so the lowest one set is right.
        const uint64_t others = ((group + 0x7676767676767676) | group) & 0x8080808080808080;
        if (others == 0) {
            sum = sum * 100000000 + eight_digits(group);
            at += 8;
            continue;
        }
        const unsigned count = (unsigned)__builtin_ctzll(others) / 8;
        if (count > 0) {
            // Shifted up, the digits have zeros in front of them.
            sum = sum * powers_of_ten[count] + eight_digits(group << (64 - 8 * count));
        }
        *value = sum;
        return at + count;
    }
    for (; at < end && springg_is_digit(*at); at++) sum = sum * 10 + (*at - '0');
    *value = sum;
    return at;
}

// MARK: Any number

/// A number as written: digits * 10^exponent, where `digits` are its first 19 significant digits.
struct decimal {
    uint64_t digits;
    int64_t exponent;
    const uint8_t *stop;   // behind the number, or at the offending byte
    bool negative;
    bool truncated;   // digits beyond the first 19 have been dropped
    bool integral;    // written without fraction and exponent
};

/// Significant digits that always fit 64 bits.
#define DIGITS_MAX 19

/// An exponent as large as this means zero or infinity for any number of digits that fits an address space.
#define EXPONENT_SATURATED 1000000000000000

static springg_json_status no_digit(struct decimal *number, const uint8_t *at, const uint8_t *end) {
    number->stop = at;
    return at < end ? SPRINGG_JSON_SYNTAX : SPRINGG_JSON_TRUNCATED;
}

/// Weighs only the first 19 significant digits of a number whose digits start at `at`.
static uint64_t first_digits(const uint8_t *at) {
    uint64_t value = 0;
    while (*at == '0' || *at == '.') at++;
    for (int count = 0; count < DIGITS_MAX; at++) {
        if (*at == '.') continue;
        value = value * 10 + (*at - '0');
        count++;
    }
    return value;
}

static inline springg_json_status scan_decimal(const uint8_t *at, const uint8_t *end, struct decimal *number) {
    number->negative = at < end && *at == '-';
    at += number->negative;
    const uint8_t *start = at;
    uint64_t digits = 0;
    int64_t exponent = 0;
    ptrdiff_t places = 0;

    at = read_digits(at, end, &digits);
    ptrdiff_t count = at - start;
    if (count == 0) return no_digit(number, at, end);
    if (*start == '0' && count > 1) return no_digit(number, start + 1, end);
    number->integral = true;

    if (at < end && *at == '.') {
        const uint8_t *fraction = at + 1;
        at = read_digits(fraction, end, &digits);
        places = at - fraction;
        if (places == 0) return no_digit(number, at, end);
        count += places;
        number->integral = false;
    }
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        bool negative = false;
        if (at < end && (*at == '-' || *at == '+')) negative = *at++ == '-';
        const uint8_t *first = at;
        for (; at < end && springg_is_digit(*at); at++) {
            if (exponent < EXPONENT_SATURATED) exponent = exponent * 10 + (*at - '0');
        }
        if (at == first) return no_digit(number, at, end);
        if (negative) exponent = -exponent;
        number->integral = false;
    }
    exponent -= places;

    number->truncated = false;
    if (__builtin_expect(count > DIGITS_MAX, 0)) {
        for (const uint8_t *zero = start; count > 0 && (*zero == '0' || *zero == '.'); zero++) count -= *zero == '0';
        if (count > DIGITS_MAX) {
            digits = first_digits(start);
            exponent += count - DIGITS_MAX;
            number->truncated = true;
        }
    }
    number->digits = digits;
    number->exponent = exponent;
    number->stop = at;
    return SPRINGG_JSON_OK;
}

springg_json_status springg_scan_number(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    struct decimal number;
    springg_json_status status = scan_decimal(at, end, &number);
    *stop = number.stop;
    return status;
}

// MARK: Rounding

#define POWER_MIN -64
#define POWER_MAX 38

/// 10^-64 to 10^38, each the nearest double. Nineteen digits and these reach every float32 that is not zero or infinite.
static const double powers[POWER_MAX - POWER_MIN + 1] = {
    1e-64, 1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55, 1e-54, 1e-53, 1e-52, 1e-51, 1e-50, 1e-49, 1e-48,
    1e-47, 1e-46, 1e-45, 1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39, 1e-38, 1e-37, 1e-36, 1e-35, 1e-34, 1e-33, 1e-32, 1e-31,
    1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14,
    1e-13, 1e-12, 1e-11, 1e-10, 1e-9,  1e-8,  1e-7,  1e-6,  1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,
    1e4,   1e5,   1e6,   1e7,   1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,
    1e21,  1e22,  1e23,  1e24,  1e25,  1e26,  1e27,  1e28,  1e29,  1e30,  1e31,  1e32,  1e33,  1e34,  1e35,  1e36,  1e37,
    1e38,
};

/// How far `approximation`, counted in its own units in the last place, may be from the number that it stands for.
/// Converting the digits, the power of ten and the product each add at most half a unit of relative size 2^-52, which is
/// up to a whole unit when the number is just below a power of two: three in all, and one for the digits dropped.
#define ERROR_MAX 4

/// Rounds `approximation` to float32 when that is sure to be the float32 nearest to the number it stands for.
///
/// Rounding twice goes wrong only when a point halfway between two floats lies between the approximation and the number.
/// Those points are the doubles whose 29 low bits, the ones that float32 has no room for, are a one followed by zeros;
/// so it is enough that these bits are farther from that pattern than the error. They are for all but one number in
/// fifty million. Floats below 2^-126 have fewer bits and their halfway points lie elsewhere; those are declined.
/// The result is infinite when the number is beyond the finite range.
static inline bool nearest_float(double approximation, uint32_t error_max, float *out) {
    uint64_t bits;
    memcpy(&bits, &approximation, 8);
    const uint32_t dropped = (uint32_t)bits & 0x1FFFFFFF;
    if (dropped - (0x10000000 - error_max) <= 2 * error_max) return false;
    // 0x380... is 2^-127 + 2 = 2^-125: everything below but zero, which wraps.
    if (bits - 1 < 0x3820000000000000 - 1) return false;
    *out = (float)approximation;
    return true;
}

static inline float negated_if(float value, uint32_t negative) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits ^= negative << 31;
    memcpy(&value, &bits, 4);
    return value;
}

/// Reads one number as float32. `stop` is behind it, or at the offending byte.
static __attribute__((noinline)) springg_json_status scan_float(
    const uint8_t *at, const uint8_t *end, const uint8_t **stop, float *out
) {
    struct decimal number;
    springg_json_status status = scan_decimal(at, end, &number);
    *stop = number.stop;
    if (status != SPRINGG_JSON_OK) return status;
    if (number.exponent >= POWER_MIN && number.exponent <= POWER_MAX) {
        const double approximation = (double)number.digits * powers[number.exponent - POWER_MIN];
        if (__builtin_expect(nearest_float(approximation, ERROR_MAX, out), 1)) {
            *out = negated_if(*out, number.negative);
        } else {
            *out = springg_round_float(at, number.stop);
        }
    } else if (number.digits == 0 || number.exponent < POWER_MIN) {
        *out = negated_if(0, number.negative);   // less than half the smallest float32, whatever the digits
    } else {
        *out = INFINITY;
    }
    if (isfinite(*out)) return SPRINGG_JSON_OK;
    *stop = at;
    return SPRINGG_JSON_RANGE;
}

// MARK: Arrays of numbers

#if defined(__SSE2__)

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
        // Eight are written whatever the count: that is cheaper than a branch that nobody can predict. The top bit stands
        // in when no comma is left; what it yields is overwritten by the next block.
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

/// Of a long fraction sixteen digits are weighed and the rest only checked. With at least this value in front of it what
/// is dropped is less than 1e-12 of the number, 9008 units in the last place of a double.
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
        *out = (struct digits){lead * powers_of_ten[length] + sixteen_digits(digits), (int)length, ERROR_MAX};
        return true;
    }
    const __m128i digits = load_digits(fraction);
    if ((others(digits) | others(load_digits(stop - 16))) != 0) return false;
    *out = (struct digits){lead * powers_of_ten[16] + sixteen_digits(digits), 16, LONG_ERROR_MAX};
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

/// Bytes before the end of a number that simple_float may read, whether they belong to the number or not: an exponent and
/// the 17 of read_short.
#define BYTES_BEFORE 21

/// Reads the number between `at` and `stop` when it has one of the two forms above, perhaps with an exponent of two
/// digits behind it: "-0.0123", "128", "1.5e-05". False when it has another form, is wrong, or is not sure to be rounded
/// correctly. The byte at `stop` is readable.
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
    const double approximation = (double)(int64_t)digits.value * powers[exponent];
    if (!nearest_float(approximation, digits.error_max, &result)) return false;
    *out = negated_if(result, negative);
    return isfinite(result);
}

/// Reads numbers as long as a comma follows each within the next chunk. Returns where the first one starts that it left:
/// the array's last, a wrong one, or one near the end of the bytes.
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
                if (scan_float(start, comma, &stop, &value) != SPRINGG_JSON_OK
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
            status = scan_float(reader->cursor, end, &reader->cursor, &value);
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
    if (at == end) {
        reader->cursor = at;
        return SPRINGG_JSON_TRUNCATED;
    }
    reader->cursor = at + 1;
    reader->depth--;
    reader->first = false;
    *count = filled;
    return SPRINGG_JSON_OK;
}

// MARK: One number

springg_json_status springg_json_integer(springg_json *reader, int64_t *out) {
    if (springg_json_peek(reader) != SPRINGG_JSON_NUMBER) return springg_json_unexpected(reader);
    struct decimal number;
    const uint8_t *start = reader->cursor;
    springg_json_status status = scan_decimal(start, reader->end, &number);
    reader->cursor = number.stop;
    if (status != SPRINGG_JSON_OK) return status;
    const uint64_t limit = (uint64_t)INT64_MAX + number.negative;
    status = !number.integral ? SPRINGG_JSON_TYPE : SPRINGG_JSON_RANGE;
    if (!number.integral || number.truncated || number.digits > limit) {
        reader->cursor = start;
        return status;
    }
    *out = (int64_t)(number.negative ? 0 - number.digits : number.digits);
    return SPRINGG_JSON_OK;
}

springg_json_status springg_json_double(springg_json *reader, double *out) {
    if (springg_json_peek(reader) != SPRINGG_JSON_NUMBER) return springg_json_unexpected(reader);
    struct decimal number;
    const uint8_t *start = reader->cursor;
    springg_json_status status = scan_decimal(start, reader->end, &number);
    reader->cursor = number.stop;
    if (status != SPRINGG_JSON_OK) return status;
    // Digits and power of ten are both exact doubles here, so one operation rounds once.
    if (number.digits <= 1ull << 53 && number.exponent >= -22 && number.exponent <= 22) {
        const double digits = (double)number.digits;
        const double magnitude = number.exponent < 0 ? digits / powers[-number.exponent - POWER_MIN]
                                                     : digits * powers[number.exponent - POWER_MIN];
        *out = number.negative ? -magnitude : magnitude;
        return SPRINGG_JSON_OK;
    }
    *out = springg_round_double(start, number.stop);
    if (isfinite(*out)) return SPRINGG_JSON_OK;
    reader->cursor = start;
    return SPRINGG_JSON_RANGE;
}
