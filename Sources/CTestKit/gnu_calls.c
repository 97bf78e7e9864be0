#define _GNU_SOURCE
#include "testkit.h"

#include <fcntl.h>
#include <unistd.h>

int testkit_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC);
}

int testkit_spawn_chdir(posix_spawn_file_actions_t *actions, const char *path) {
    return posix_spawn_file_actions_addchdir_np(actions, path);
}
