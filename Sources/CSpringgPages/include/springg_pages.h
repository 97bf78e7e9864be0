// What the server says of itself, as files that editors know: the page at `/` and the description of the API.
#ifndef SPRINGG_PAGES_H
#define SPRINGG_PAGES_H

#include <stddef.h>

/// A file's bytes, which are UTF-8 and stay for as long as the program runs.
typedef struct {
    const void *start;
    size_t count;
} springg_file;

/// index.html: one document without anything from elsewhere.
springg_file springg_index_html(void);

/// openapi.json, OpenAPI 3.1; `VERSION` stands for the program's.
springg_file springg_openapi_json(void);

#endif
