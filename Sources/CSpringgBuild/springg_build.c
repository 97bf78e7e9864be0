#include "springg_build.h"

const char *springg_build_time(void) { return SPRINGG_BUILD_TIME; }

const char *springg_git_commit(void) { return SPRINGG_GIT_COMMIT; }
