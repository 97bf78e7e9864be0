// Numbers of the JSON reader, one at a time: their grammar, their digits, and what they are as int64, double and
// float32.
#include "json_decimal.h"

#include <math.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight digits at a time expect the first digit in the lowest byte"
#endif

const uint64_t springg_integer_powers[20] = {
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

const double springg_powers[POWER_MAX - POWER_MIN + 1] = {
    1e-64, 1e-63, 1e-62, 1e-61, 1e-60, 1e-59, 1e-58, 1e-57, 1e-56, 1e-55,
    1e-54, 1e-53, 1e-52, 1e-51, 1e-50, 1e-49, 1e-48, 1e-47, 1e-46, 1e-45,
    1e-44, 1e-43, 1e-42, 1e-41, 1e-40, 1e-39, 1e-38, 1e-37, 1e-36, 1e-35,
    1e-34, 1e-33, 1e-32, 1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25,
    1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15,
    1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5,
    1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5,
    1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25,
    1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35,
    1e36, 1e37, 1e38,
};

// MARK: Digits

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
            sum = sum * springg_integer_powers[count] + eight_digits(group << (64 - 8 * count));
        }
        *value = sum;
        return at + count;
    }
    for (; at < end && springg_is_digit(*at); at++) sum = sum * 10 + (*at - '0');
    *value = sum;
    return at;
}

// MARK: Grammar

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

// MARK: Values

springg_json_status springg_scan_float(
    const uint8_t *at, const uint8_t *end, const uint8_t **stop, float *out
) {
    struct decimal number;
    springg_json_status status = scan_decimal(at, end, &number);
    *stop = number.stop;
    if (status != SPRINGG_JSON_OK) return status;
    if (number.exponent >= POWER_MIN && number.exponent <= POWER_MAX) {
        const double approximation = (double)number.digits * springg_powers[number.exponent - POWER_MIN];
        if (__builtin_expect(springg_nearest_float(approximation, ERROR_MAX, out), 1)) {
            *out = springg_negated_if(*out, number.negative);
        } else {
            *out = springg_round_float(at, number.stop);
        }
    } else if (number.digits == 0 || number.exponent < POWER_MIN) {
        *out = springg_negated_if(0, number.negative);   // less than half the smallest float32, whatever the digits
    } else {
        *out = INFINITY;
    }
    if (isfinite(*out)) return SPRINGG_JSON_OK;
    *stop = at;
    return SPRINGG_JSON_RANGE;
}

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
        const double magnitude = number.exponent < 0 ? digits / springg_powers[-number.exponent - POWER_MIN]
                                                     : digits * springg_powers[number.exponent - POWER_MIN];
        *out = number.negative ? -magnitude : magnitude;
        return SPRINGG_JSON_OK;
    }
    *out = springg_round_double(start, number.stop);
    if (isfinite(*out)) return SPRINGG_JSON_OK;
    reader->cursor = start;
    return SPRINGG_JSON_RANGE;
}
