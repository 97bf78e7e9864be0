// The exact way from text to number, by the standard library, which knows no locale here and reads exactly the bytes
// given to it.
#include "json_scan.h"

#include <charconv>
#include <limits>
#include <system_error>

namespace {

/// Whether the number written in [text, stop) is at least 1.
bool isLarge(const char *text, const char *stop) {
    // Position of the point relative to the first significant digit: 123 and 1.23e2 have 3, 0.01 has -1.
    long long order = 0;
    bool point = false, significant = false;
    for (; text < stop && (*text | 0x20) != 'e'; text++) {
        if (*text == '-') continue;
        if (*text == '.') {
            point = true;
            continue;
        }
        significant = significant || *text != '0';
        if (significant && !point) order++;
        if (!significant && point) order--;
    }
    if (!significant) return false;
    if (text == stop) return order > 0;
    text++;
    const bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    long long exponent = 0;
    for (; text < stop; text++) {
        if (exponent < 1'000'000'000'000'000) exponent = exponent * 10 + (*text - '0');
    }
    return order + (negative ? -exponent : exponent) > 0;
}

template <typename Value> Value round(const uint8_t *bytes, const uint8_t *stop) {
    const char *text = reinterpret_cast<const char *>(bytes);
    const char *end = reinterpret_cast<const char *>(stop);
    Value value = 0;
    const auto result = std::from_chars(text, end, value);
    if (result.ec != std::errc::result_out_of_range) return value;
    // The library leaves the value as it was both when it is too large and when it is too small.
    value = isLarge(text, end) ? std::numeric_limits<Value>::infinity() : 0;
    return *text == '-' ? -value : value;
}

}   // namespace

float springg_round_float(const uint8_t *text, const uint8_t *stop) { return round<float>(text, stop); }

double springg_round_double(const uint8_t *text, const uint8_t *stop) { return round<double>(text, stop); }
