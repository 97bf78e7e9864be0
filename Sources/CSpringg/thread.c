#define _GNU_SOURCE
#include "springg.h"

#include <sys/prctl.h>

void springg_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
