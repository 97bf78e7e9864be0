#define _GNU_SOURCE
#include "testkit.h"

#include <fcntl.h>
#include <unistd.h>

int testkit_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC);
}

int testkit_epoll_wait(int poller, struct epoll_event *events, int count, uint64_t nanoseconds) {
    struct timespec time = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
    return epoll_pwait2(poller, events, count, &time, NULL);
}

int testkit_spawn_chdir(posix_spawn_file_actions_t *actions, const char *path) {
    return posix_spawn_file_actions_addchdir_np(actions, path);
}
