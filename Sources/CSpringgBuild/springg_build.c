#include "springg_build.h"

// Here and nowhere else.
const char *springg_version(void) { return "0.1.0"; }

const char *springg_build_time(void) { return SPRINGG_BUILD_TIME; }

const char *springg_git_commit(void) { return SPRINGG_GIT_COMMIT; }
