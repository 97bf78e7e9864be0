// Shortest text of a number that reads back as the same value. What std::to_chars prints is a JSON number: it has no
// "+" in front, a digit before the point, and digits behind the point or no point at all.
#include "springg_json.h"

#include <charconv>

// Many readers take a number without a point for an integer, and integers have no -0: a client would lose the sign.
template <typename Number> static char *format(Number value, char *out) {
    char *end = std::to_chars(out, out + SPRINGG_NUMBER_MAX, value).ptr;
    if (value == 0 && *out == '-') {
        *end++ = '.';
        *end++ = '0';
    }
    return end;
}

size_t springg_format_float(float value, char *out) { return static_cast<size_t>(format(value, out) - out); }

size_t springg_format_double(double value, char *out) { return static_cast<size_t>(format(value, out) - out); }

size_t springg_format_floats(const float *values, size_t count, char *out) {
    char *next = out;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *next++ = ',';
        next = format(values[i], next);
    }
    return static_cast<size_t>(next - out);
}
