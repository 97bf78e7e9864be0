// Shortest text of a number that reads back as the same value. What std::to_chars prints is a JSON number: it has no
// "+" in front, a digit before the point, and digits behind the point or no point at all.
#include "springg_json.h"

#include <charconv>

size_t springg_format_float(float value, char *out) {
    return static_cast<size_t>(std::to_chars(out, out + SPRINGG_NUMBER_MAX, value).ptr - out);
}

size_t springg_format_double(double value, char *out) {
    return static_cast<size_t>(std::to_chars(out, out + SPRINGG_NUMBER_MAX, value).ptr - out);
}

size_t springg_format_floats(const float *values, size_t count, char *out) {
    char *next = out;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *next++ = ',';
        next = std::to_chars(next, next + SPRINGG_NUMBER_MAX, values[i]).ptr;
    }
    return static_cast<size_t>(next - out);
}
