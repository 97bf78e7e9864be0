#define _GNU_SOURCE
#include "springg.h"

#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void springg_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// On Linux a nice value belongs to a thread, whatever POSIX says. A refusal leaves the thread as it was.
void springg_lower_priority(int nice) { setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice); }

bool springg_semaphore_wait(void *semaphore, uint64_t nanoseconds) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    uint64_t sum = (uint64_t)deadline.tv_nsec + nanoseconds % 1000000000;
    deadline.tv_sec += (time_t)(nanoseconds / 1000000000 + sum / 1000000000);
    deadline.tv_nsec = (long)(sum % 1000000000);
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &deadline) == 0;
}
