#define _GNU_SOURCE
#include "springg.h"

#include <stdatomic.h>
#include <time.h>

static atomic_bool measuring;
static _Atomic uint64_t sums[SPRINGG_STAGES];
static _Thread_local int current = SPRINGG_STAGE_OTHER;
static _Thread_local uint64_t since;

void springg_stages_measure(void) { atomic_store(&measuring, true); }

bool springg_stages_measured(void) { return atomic_load_explicit(&measuring, memory_order_relaxed); }

int springg_stage_enter(int stage) {
    // The clock of the thread stands still while others have its core: neighbours do not count.
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    uint64_t now = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    int before = current;
    if (before != SPRINGG_STAGE_OTHER) {
        atomic_fetch_add_explicit(&sums[before], now - since, memory_order_relaxed);
    }
    current = stage;
    since = now;
    return before;
}

uint64_t springg_stage_nanoseconds(int stage) { return atomic_load_explicit(&sums[stage], memory_order_relaxed); }
