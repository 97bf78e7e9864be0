// Strings of the JSON reader: checking, decoding, comparing keys, escaping; and UTF-8.
//
// The bytes that most strings are made of (printable ASCII but for quote and backslash) are passed over 16 at a time
// with SSE2, which every x86-64 has, or 8 at a time with ordinary words elsewhere.
#include "json_scan.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Passes over plain bytes in whole groups. Stops in front of a quote, backslash, control character or byte that is not
/// ASCII, or somewhat earlier: at the start of a group that holds one or that `end` cuts. The caller goes on by bytes.
static inline const uint8_t *past_plain(const uint8_t *at, const uint8_t *end) {
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16) {
        const __m128i group = _mm_loadu_si128((const __m128i *)at);
        // Compared as signed bytes, those that are not ASCII are below the space as well.
        __m128i stop = _mm_cmplt_epi8(group, _mm_set1_epi8(' '));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(group, _mm_set1_epi8('"')));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(group, _mm_set1_epi8('\\')));
        const int mask = _mm_movemask_epi8(stop);
        if (mask != 0) return at + __builtin_ctz((unsigned)mask);
    }
#else
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
        uint64_t group;
        memcpy(&group, at, 8);
        // A byte's top bit ends up set for a byte below 0x20, equal to quote or backslash, or not ASCII. A borrow may
        // set it falsely for a neighbour, but only when a true one is there, so the test of the whole group is exact.
        const uint64_t quote = group ^ (ones * '"'), slash = group ^ (ones * '\\');
        if (((group - ones * ' ') | (quote - ones) | (slash - ones) | group) & tops) break;
    }
#endif
    return at;
}

/// Length of the well-formed UTF-8 sequence of two to four bytes at `at` (Unicode 15, table 3-7), or 0 when it is not
/// well formed, or -1 when `end` cuts a sequence that is well formed so far. `*at` is at least 0x80.
static int utf8_sequence(const uint8_t *at, const uint8_t *end) {
    const uint8_t lead = at[0];
    int length;
    uint8_t low = 0x80, high = 0xBF;   // bounds of the second byte; the later ones have 0x80 to 0xBF
    if (lead < 0xC2) return 0;         // a continuation byte, or an overlong form of ASCII
    if (lead < 0xE0) {
        length = 2;
    } else if (lead < 0xF0) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;    // overlong
        if (lead == 0xED) high = 0x9F;   // surrogates
    } else if (lead < 0xF5) {
        length = 4;
        if (lead == 0xF0) low = 0x90;    // overlong
        if (lead == 0xF4) high = 0x8F;   // beyond U+10FFFF
    } else {
        return 0;
    }
    if (end - at < 2) return -1;
    if (at[1] < low || at[1] > high) return 0;
    for (int i = 2; i < length; i++) {
        if (end - at <= i) return -1;
        if ((at[i] & 0xC0) != 0x80) return 0;
    }
    return length;
}

static int hex_value(uint8_t byte) {
    if (springg_is_digit(byte)) return byte - '0';
    const uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Reads the four hex digits behind `\u`.
static springg_json_status scan_hex4(const uint8_t *at, const uint8_t *end, const uint8_t **stop, uint32_t *unit) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at++) {
        *stop = at;
        if (at == end) return SPRINGG_JSON_TRUNCATED;
        const int digit = hex_value(*at);
        if (digit < 0) return SPRINGG_JSON_SYNTAX;
        value = value << 4 | (uint32_t)digit;
    }
    *stop = at;
    *unit = value;
    return SPRINGG_JSON_OK;
}

/// Reads one escape, `at` being its backslash; both halves of a surrogate pair are one escape.
static springg_json_status scan_escape(
    const uint8_t *at, const uint8_t *end, const uint8_t **stop, uint32_t *scalar
) {
    const uint8_t *start = at++;
    *stop = at;
    if (at == end) return SPRINGG_JSON_TRUNCATED;
    *stop = at + 1;
    switch (*at) {
    case '"': *scalar = '"'; return SPRINGG_JSON_OK;
    case '\\': *scalar = '\\'; return SPRINGG_JSON_OK;
    case '/': *scalar = '/'; return SPRINGG_JSON_OK;
    case 'b': *scalar = '\b'; return SPRINGG_JSON_OK;
    case 'f': *scalar = '\f'; return SPRINGG_JSON_OK;
    case 'n': *scalar = '\n'; return SPRINGG_JSON_OK;
    case 'r': *scalar = '\r'; return SPRINGG_JSON_OK;
    case 't': *scalar = '\t'; return SPRINGG_JSON_OK;
    case 'u': break;
    default: *stop = at; return SPRINGG_JSON_SYNTAX;
    }
    uint32_t unit, low;
    springg_json_status status = scan_hex4(at + 1, end, &at, &unit);
    *stop = at;
    if (status != SPRINGG_JSON_OK) return status;
    *scalar = unit;
    if (unit < 0xD800 || unit > 0xDFFF) return SPRINGG_JSON_OK;

    // A high half must be followed at once by an escaped low half; a low half alone is wrong in any case.
    *stop = start;
    if (unit >= 0xDC00) return SPRINGG_JSON_UTF8;
    for (int i = 0; i < 2; i++, at++) {
        if (at == end) {
            *stop = at;
            return SPRINGG_JSON_TRUNCATED;
        }
        if (*at != "\\u"[i]) return SPRINGG_JSON_UTF8;
    }
    status = scan_hex4(at, end, &at, &low);
    if (status != SPRINGG_JSON_OK) {
        *stop = at;
        return status;
    }
    if (low < 0xDC00 || low > 0xDFFF) return SPRINGG_JSON_UTF8;
    *stop = at;
    *scalar = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    return SPRINGG_JSON_OK;
}

springg_json_status springg_scan_string(const uint8_t *at, const uint8_t *end, const uint8_t **stop, bool *escaped) {
    *escaped = false;
    for (;;) {
        at = past_plain(at, end);
        *stop = at;
        if (at == end) return SPRINGG_JSON_TRUNCATED;
        const uint8_t byte = *at;
        if (byte == '"') return SPRINGG_JSON_OK;
        if (byte == '\\') {
            uint32_t scalar;
            springg_json_status status = scan_escape(at, end, &at, &scalar);
            if (status != SPRINGG_JSON_OK) {
                *stop = at;
                return status;
            }
            *escaped = true;
        } else if (byte >= 0x80) {
            const int length = utf8_sequence(at, end);
            if (length == 0) return SPRINGG_JSON_UTF8;
            if (length < 0) {
                *stop = end;
                return SPRINGG_JSON_TRUNCATED;
            }
            at += length;
        } else if (byte < 0x20) {
            return SPRINGG_JSON_SYNTAX;
        } else {
            at++;
        }
    }
}

static size_t encode_utf8(uint32_t scalar, uint8_t bytes[4]) {
    if (scalar < 0x80) {
        bytes[0] = (uint8_t)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        bytes[0] = (uint8_t)(0xC0 | scalar >> 6);
        bytes[1] = (uint8_t)(0x80 | (scalar & 0x3F));
        return 2;
    }
    if (scalar < 0x10000) {
        bytes[0] = (uint8_t)(0xE0 | scalar >> 12);
        bytes[1] = (uint8_t)(0x80 | (scalar >> 6 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (scalar & 0x3F));
        return 3;
    }
    bytes[0] = (uint8_t)(0xF0 | scalar >> 18);
    bytes[1] = (uint8_t)(0x80 | (scalar >> 12 & 0x3F));
    bytes[2] = (uint8_t)(0x80 | (scalar >> 6 & 0x3F));
    bytes[3] = (uint8_t)(0x80 | (scalar & 0x3F));
    return 4;
}

/// A decoded string as far as the caller's buffer goes, and its length as if the buffer were large enough.
struct decoded {
    uint8_t *out;
    size_t capacity, length;
};

static void append(struct decoded *text, const uint8_t *bytes, size_t count) {
    if (text->length < text->capacity) {
        const size_t room = text->capacity - text->length;
        memcpy(text->out + text->length, bytes, count < room ? count : room);
    }
    text->length += count;
}

springg_json_status springg_json_string(springg_json *reader, uint8_t *out, size_t capacity, size_t *length) {
    if (springg_json_peek(reader) != SPRINGG_JSON_STRING) return springg_json_unexpected(reader);
    const uint8_t *at = reader->cursor + 1;
    bool escaped;
    springg_json_status status = springg_scan_string(at, reader->end, &reader->cursor, &escaped);
    if (status != SPRINGG_JSON_OK) return status;
    const uint8_t *stop = reader->cursor;
    reader->cursor++;

    struct decoded text = {.out = out, .capacity = capacity, .length = 0};
    while (escaped && at < stop) {
        const uint8_t *backslash = memchr(at, '\\', (size_t)(stop - at));
        if (backslash == NULL) break;
        append(&text, at, (size_t)(backslash - at));
        uint32_t scalar = 0;
        uint8_t bytes[4];
        scan_escape(backslash, stop, &at, &scalar);   // cannot fail: the whole string has been checked
        append(&text, bytes, encode_utf8(scalar, bytes));
    }
    append(&text, at, (size_t)(stop - at));
    *length = text.length;
    return SPRINGG_JSON_OK;
}

static uint32_t ascii_lower(uint32_t scalar) { return scalar >= 'A' && scalar <= 'Z' ? scalar + 0x20 : scalar; }

bool springg_json_key_is(springg_json_slice key, const char *name) {
    const uint8_t *at = key.start;
    const uint8_t *end = key.start + key.length;
    for (; at < end; name++) {
        uint32_t scalar = *at;
        if (scalar == '\\') {
            // A key that the reader has not checked may be broken here: it equals nothing.
            if (scan_escape(at, end, &at, &scalar) != SPRINGG_JSON_OK) return false;
        } else {
            at++;
        }
        // A zero in the key (\u0000) must not pass for the end of the name.
        if (*name == 0 || scalar >= 0x80 || ascii_lower(scalar) != ascii_lower((uint8_t)*name)) return false;
    }
    return *name == 0;
}

size_t springg_json_escape(const uint8_t *bytes, size_t length, char *out) {
    static const char hex[] = "0123456789abcdef";
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + length;
    char *next = out;
    while (at < end) {
        const uint8_t *plain = past_plain(at, end);
        while (plain < end && *plain >= 0x20 && *plain != '"' && *plain != '\\') plain++;
        if (plain > at) {
            memcpy(next, at, (size_t)(plain - at));
            next += plain - at;
            at = plain;
            continue;
        }
        const uint8_t byte = *at++;
        *next++ = '\\';
        switch (byte) {
        case '"':
        case '\\': *next++ = (char)byte; break;
        case '\b': *next++ = 'b'; break;
        case '\f': *next++ = 'f'; break;
        case '\n': *next++ = 'n'; break;
        case '\r': *next++ = 'r'; break;
        case '\t': *next++ = 't'; break;
        default:
            memcpy(next, "u00", 3);
            next[3] = hex[byte >> 4];
            next[4] = hex[byte & 15];
            next += 5;
        }
    }
    return (size_t)(next - out);
}

/// Passes over ASCII in whole groups of eight bytes.
static inline const uint8_t *past_ascii(const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t group;
        memcpy(&group, at, 8);
        if ((group & 0x8080808080808080) != 0) break;
    }
    return at;
}

bool springg_utf8_valid(const uint8_t *bytes, size_t length) {
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + length;
    while (at < end) {
        at = past_ascii(at, end);
        while (at < end && *at < 0x80) at++;
        // Text in one script mostly goes on in it: stay here while it does.
        while (at < end && *at >= 0x80) {
            const int sequence = utf8_sequence(at, end);
            if (sequence <= 0) return false;
            at += sequence;
        }
    }
    return true;
}
