// A number between its text and its float32, shared by the reader of any number and the reader of arrays of numbers.
//
// A float32 is found in three ways, each taking what the one before declines:
//   1. in arrays, numbers of the usual forms, sixteen characters at a time (json_floats.c);
//   2. any number that has at most 19 significant digits, or whose first 19 decide: one multiplication in double, see
//      springg_nearest_float (json_number.c);
//   3. springg_round_float, which is exact for any text (number_round.cpp).
#ifndef SPRINGG_JSON_DECIMAL_H
#define SPRINGG_JSON_DECIMAL_H

#include "json_scan.h"

#include <string.h>

#define SPRINGG_HIDDEN __attribute__((visibility("hidden")))

/// 10^0 to 10^19, all that 64 bits hold.
extern SPRINGG_HIDDEN const uint64_t springg_integer_powers[20];

#define POWER_MIN -64
#define POWER_MAX 38

/// 10^POWER_MIN to 10^POWER_MAX, each the nearest double. Nineteen digits and these reach every float32 that is neither
/// zero nor infinite.
extern SPRINGG_HIDDEN const double springg_powers[POWER_MAX - POWER_MIN + 1];

/// Reads one number as float32: RANGE when it is beyond the finite ones. `stop` is behind it, or at the offending byte.
SPRINGG_HIDDEN springg_json_status springg_scan_float(
    const uint8_t *at, const uint8_t *end, const uint8_t **stop, float *out);

/// How far `approximation`, counted in its own units in the last place, may be from the number that it stands for.
/// Converting the digits, the power of ten and the product each add at most half a unit of relative size 2^-52, which
/// is up to a whole unit when the number is just below a power of two: three in all, and one for the digits beyond 19
/// that are dropped.
#define ERROR_MAX 4

/// Rounds `approximation` to float32 when that is sure to be the float32 nearest to the number it stands for.
///
/// Rounding twice goes wrong only when a point halfway between two floats lies between the approximation and the
/// number. Those points are the doubles whose 29 low bits, the ones that float32 has no room for, are a one followed
/// by zeros; so it is enough that these bits are farther from that pattern than the error. They are for all but one
/// number in fifty million. Floats below 2^-126 have fewer bits and their halfway points lie elsewhere; those are
/// declined. The result is infinite when the number is beyond the finite range.
static inline bool springg_nearest_float(double approximation, uint32_t error_max, float *out) {
    uint64_t bits;
    memcpy(&bits, &approximation, 8);
    const uint32_t dropped = (uint32_t)bits & 0x1FFFFFFF;
    if (dropped - (0x10000000 - error_max) <= 2 * error_max) return false;
    // The bits of doubles are ordered as the doubles are: this is everything below 2^-125 but zero, which wraps.
    if (bits - 1 < 0x3820000000000000 - 1) return false;
    *out = (float)approximation;
    return true;
}

static inline float springg_negated_if(float value, uint32_t negative) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits ^= negative << 31;
    memcpy(&value, &bits, 4);
    return value;
}

#endif
