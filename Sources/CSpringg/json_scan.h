// What the files of the JSON reader share. Not part of the module's interface.
#ifndef SPRINGG_JSON_SCAN_H
#define SPRINGG_JSON_SCAN_H

#include "springg_json.h"

// Every function here takes the place where reading starts and the end of the bytes, never reads at or beyond `end`,
// and says through `stop` where it stopped: behind what it read, or at the offending byte when it failed.

/// White space of RFC 8259: space, tab, line feed, carriage return; nothing else.
static inline bool springg_is_space(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline const uint8_t *springg_past_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && springg_is_space(*at)) at++;
    return at;
}

static inline bool springg_is_digit(uint8_t byte) { return (uint8_t)(byte - '0') <= 9; }

/// Checks the inside of a string from behind its opening quote. On success `stop` is at the closing quote and
/// `escaped` says whether the text holds a backslash.
springg_json_status springg_scan_string(const uint8_t *at, const uint8_t *end, const uint8_t **stop, bool *escaped);

/// Checks a number without working out its value.
springg_json_status springg_scan_number(const uint8_t *at, const uint8_t *end, const uint8_t **stop);

/// The failure of a reader whose next value is not what the caller asked for: TRUNCATED when there is no byte,
/// TYPE when another kind of value starts here, SYNTAX when none does.
springg_json_status springg_json_unexpected(springg_json *reader);

/// The float32 or double nearest to the number written in [text, stop), rounded once, infinite beyond the finite range.
/// Exact for any length of text, and slow: it is meant for the one number in millions that the fast paths decline.
/// The text must be a number that springg_scan_number accepts.
#ifdef __cplusplus
extern "C" {
#endif
float springg_round_float(const uint8_t *text, const uint8_t *stop);
double springg_round_double(const uint8_t *text, const uint8_t *stop);
#ifdef __cplusplus
}
#endif

#endif
