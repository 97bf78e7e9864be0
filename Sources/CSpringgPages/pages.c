#include "springg_pages.h"

// The directive is C23's; compilers of older C know it too.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "index.html"
};

static const unsigned char openapi_json[] = {
#embed "openapi.json"
};

springg_file springg_index_html(void) { return (springg_file){index_html, sizeof index_html}; }

springg_file springg_openapi_json(void) { return (springg_file){openapi_json, sizeof openapi_json}; }
