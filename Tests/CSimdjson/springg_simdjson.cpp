#include "springg_simdjson.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <simdjson.h>

// The parser reads up to SIMDJSON_PADDING bytes beyond a document. Callers' bytes have none, so they are copied into a
// buffer that has; it grows and stays, as the parser's own buffers do.
struct springg_simdjson {
    simdjson::dom::parser parser;
    std::unique_ptr<uint8_t[]> padded;
    size_t capacity = 0;

    simdjson::error_code parse(const void *bytes, size_t length, simdjson::dom::element &root) {
        if (length > capacity) {
            capacity = length * 2;
            padded.reset(new uint8_t[capacity + simdjson::SIMDJSON_PADDING]);
        }
        if (padded == nullptr) return simdjson::EMPTY;
        std::memcpy(padded.get(), bytes, length);
        std::memset(padded.get() + length, 0, simdjson::SIMDJSON_PADDING);
        return parser.parse(padded.get(), length, false).get(root);
    }
};

springg_simdjson *springg_simdjson_create(void) { return new springg_simdjson; }

void springg_simdjson_destroy(springg_simdjson *parser) { delete parser; }

bool springg_simdjson_accepts(springg_simdjson *parser, const void *bytes, size_t length) {
    simdjson::dom::element root;
    return parser->parse(bytes, length, root) == simdjson::SUCCESS;
}

ptrdiff_t springg_simdjson_vector(
    springg_simdjson *parser, const void *bytes, size_t length, float *out, size_t capacity) {
    simdjson::dom::element root;
    if (parser->parse(bytes, length, root) != simdjson::SUCCESS) return -1;
    simdjson::dom::object object;
    std::string_view id;
    simdjson::dom::array vector;
    if (root.get(object) != simdjson::SUCCESS) return -1;
    if (object["id"].get(id) != simdjson::SUCCESS) return -1;
    if (object["vector"].get(vector) != simdjson::SUCCESS) return -1;
    size_t count = 0;
    for (simdjson::dom::element element : vector) {
        double value;
        if (element.get(value) != simdjson::SUCCESS) return -1;
        if (count < capacity) out[count] = static_cast<float>(value);
        count++;
    }
    return static_cast<ptrdiff_t>(count);
}
