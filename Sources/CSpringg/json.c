// The reader's structure: values, objects, arrays, and what is skipped. Strings are in json_string.c, numbers in
// json_number.c.
//
// Nothing here calls itself: the depth of a document costs bits of a word, not stack. A function that fails leaves the
// cursor at the offending byte.
#include "json_scan.h"

static springg_json_status fail(springg_json *reader, const uint8_t *at, springg_json_status status) {
    reader->cursor = at;
    return status;
}

/// What a byte that does not belong here means: the document ends too early, or it is not JSON.
static springg_json_status fail_syntax(springg_json *reader, const uint8_t *at) {
    return fail(reader, at, at < reader->end ? SPRINGG_JSON_SYNTAX : SPRINGG_JSON_TRUNCATED);
}

void springg_json_start(springg_json *reader, const void *bytes, size_t length) {
    // A null pointer may come with no bytes; arithmetic on it would be undefined, so it is replaced.
    const uint8_t *begin = length > 0 ? bytes : (const uint8_t *)"";
    *reader = (springg_json){.begin = begin, .cursor = begin, .end = begin + length, .depth = 0, .first = false};
}

static springg_json_kind kind_of(uint8_t byte) {
    switch (byte) {
    case '{': return SPRINGG_JSON_OBJECT;
    case '[': return SPRINGG_JSON_ARRAY;
    case '"': return SPRINGG_JSON_STRING;
    case 't':
    case 'f': return SPRINGG_JSON_BOOL;
    case 'n': return SPRINGG_JSON_NULL;
    default: return byte == '-' || springg_is_digit(byte) ? SPRINGG_JSON_NUMBER : SPRINGG_JSON_END;
    }
}

springg_json_kind springg_json_peek(springg_json *reader) {
    reader->cursor = springg_past_space(reader->cursor, reader->end);
    return reader->cursor < reader->end ? kind_of(*reader->cursor) : SPRINGG_JSON_END;
}

springg_json_status springg_json_unexpected(springg_json *reader) {
    if (springg_json_peek(reader) == SPRINGG_JSON_END) return fail_syntax(reader, reader->cursor);
    return SPRINGG_JSON_TYPE;
}

static springg_json_status open_container(springg_json *reader, springg_json_kind kind) {
    if (springg_json_peek(reader) != kind) return springg_json_unexpected(reader);
    if (reader->depth >= SPRINGG_JSON_DEPTH_MAX) return SPRINGG_JSON_DEPTH;
    reader->cursor++;
    reader->depth++;
    reader->first = true;
    return SPRINGG_JSON_OK;
}

springg_json_status springg_json_object_begin(springg_json *reader) {
    return open_container(reader, SPRINGG_JSON_OBJECT);
}

springg_json_status springg_json_array_begin(springg_json *reader) {
    return open_container(reader, SPRINGG_JSON_ARRAY);
}

/// Reads what stands before a member: nothing or a comma, or the closing byte. On success the cursor is at the member's
/// first byte, or behind the closing byte when there is none.
static springg_json_status next_member(springg_json *reader, uint8_t closing, bool *more) {
    const uint8_t *end = reader->end;
    const uint8_t *at = springg_past_space(reader->cursor, end);
    *more = false;
    if (at == end) return fail(reader, at, SPRINGG_JSON_TRUNCATED);
    if (*at == closing) {
        // The container that holds this one has just read a member, this one, so `first` is false for it too.
        reader->first = false;
        reader->depth--;
        reader->cursor = at + 1;
        return SPRINGG_JSON_OK;
    }
    if (!reader->first) {
        if (*at != ',') return fail(reader, at, SPRINGG_JSON_SYNTAX);
        at = springg_past_space(at + 1, end);
        if (at == end) return fail(reader, at, SPRINGG_JSON_TRUNCATED);
    }
    reader->first = false;
    reader->cursor = at;
    *more = true;
    return SPRINGG_JSON_OK;
}

/// Reads `"key" :` and leaves `stop` behind the colon.
static springg_json_status scan_key(
    const uint8_t *at, const uint8_t *end, const uint8_t **stop, springg_json_slice *key
) {
    *stop = at;
    if (at == end) return SPRINGG_JSON_TRUNCATED;
    if (*at != '"') return SPRINGG_JSON_SYNTAX;
    bool escaped;
    const uint8_t *start = at + 1;
    springg_json_status status = springg_scan_string(start, end, stop, &escaped);
    if (status != SPRINGG_JSON_OK) return status;
    *key = (springg_json_slice){.start = start, .length = (size_t)(*stop - start)};
    *stop = springg_past_space(*stop + 1, end);
    if (*stop == end) return SPRINGG_JSON_TRUNCATED;
    if (**stop != ':') return SPRINGG_JSON_SYNTAX;
    *stop += 1;
    return SPRINGG_JSON_OK;
}

springg_json_status springg_json_object_next(springg_json *reader, bool *more, springg_json_slice *key) {
    springg_json_status status = next_member(reader, '}', more);
    if (status != SPRINGG_JSON_OK || !*more) return status;
    return scan_key(reader->cursor, reader->end, &reader->cursor, key);
}

springg_json_status springg_json_array_next(springg_json *reader, bool *more) {
    // A comma with no value behind it ("[1,]") is found by whatever reads the value: none starts with ']'.
    return next_member(reader, ']', more);
}

static springg_json_status scan_word(
    const uint8_t *at, const uint8_t *end, const char *word, const uint8_t **stop
) {
    for (; *word != 0; word++, at++) {
        *stop = at;
        if (at == end) return SPRINGG_JSON_TRUNCATED;
        if (*at != (uint8_t)*word) return SPRINGG_JSON_SYNTAX;
    }
    *stop = at;
    return SPRINGG_JSON_OK;
}

springg_json_status springg_json_bool(springg_json *reader, bool *out) {
    if (springg_json_peek(reader) != SPRINGG_JSON_BOOL) return springg_json_unexpected(reader);
    bool value = *reader->cursor == 't';
    springg_json_status status = scan_word(reader->cursor, reader->end, value ? "true" : "false", &reader->cursor);
    if (status == SPRINGG_JSON_OK) *out = value;
    return status;
}

/// Checks a string, number or word.
static springg_json_status scan_scalar(const uint8_t *at, const uint8_t *end, const uint8_t **stop) {
    bool escaped;
    springg_json_status status;
    *stop = at;
    switch (*at) {
    case '"':
        status = springg_scan_string(at + 1, end, stop, &escaped);
        if (status == SPRINGG_JSON_OK) *stop += 1;
        return status;
    case 't': return scan_word(at, end, "true", stop);
    case 'f': return scan_word(at, end, "false", stop);
    case 'n': return scan_word(at, end, "null", stop);
    default: return springg_scan_number(at, end, stop);
    }
}

springg_json_status springg_json_skip(springg_json *reader, springg_json_slice *raw) {
    // One bit for each container opened since `start`, the innermost lowest: 1 = object. The depth limit makes them
    // fit.
    _Static_assert(SPRINGG_JSON_DEPTH_MAX <= 64, "the open containers must fit the bits of a word");
    uint64_t objects = 0;
    uint32_t open = 0;
    const uint32_t open_max = SPRINGG_JSON_DEPTH_MAX - reader->depth;
    const uint8_t *end = reader->end;
    const uint8_t *start = springg_past_space(reader->cursor, end);
    const uint8_t *at = start;
    springg_json_slice key;

    for (;;) {
        // Here a value starts at `at`, after white space.
        if (at == end) return fail(reader, at, SPRINGG_JSON_TRUNCATED);
        if (*at == '{' || *at == '[') {
            const bool object = *at == '{';
            if (open == open_max) return fail(reader, at, SPRINGG_JSON_DEPTH);
            const uint8_t *inside = springg_past_space(at + 1, end);
            if (inside == end) return fail(reader, inside, SPRINGG_JSON_TRUNCATED);
            if (*inside == (object ? '}' : ']')) {
                at = inside + 1;
            } else {
                objects = objects << 1 | (object ? 1 : 0);
                open++;
                at = inside;
                if (object) {
                    springg_json_status status = scan_key(at, end, &at, &key);
                    if (status != SPRINGG_JSON_OK) return fail(reader, at, status);
                    at = springg_past_space(at, end);
                }
                continue;
            }
        } else {
            springg_json_status status = scan_scalar(at, end, &at);
            if (status != SPRINGG_JSON_OK) return fail(reader, at, status);
        }

        // A value has ended: close what ends with it, then go to the next member.
        for (;;) {
            if (open == 0) {
                *raw = (springg_json_slice){.start = start, .length = (size_t)(at - start)};
                reader->cursor = at;
                return SPRINGG_JSON_OK;
            }
            const bool object = objects & 1;
            at = springg_past_space(at, end);
            if (at == end) return fail(reader, at, SPRINGG_JSON_TRUNCATED);
            if (*at == ',') {
                at = springg_past_space(at + 1, end);
                if (object) {
                    springg_json_status status = scan_key(at, end, &at, &key);
                    if (status != SPRINGG_JSON_OK) return fail(reader, at, status);
                    at = springg_past_space(at, end);
                }
                break;
            }
            if (*at != (object ? '}' : ']')) return fail(reader, at, SPRINGG_JSON_SYNTAX);
            at++;
            objects >>= 1;
            open--;
        }
    }
}

springg_json_status springg_json_finish(springg_json *reader) {
    reader->cursor = springg_past_space(reader->cursor, reader->end);
    return reader->cursor == reader->end ? SPRINGG_JSON_OK : SPRINGG_JSON_TRAILING;
}
