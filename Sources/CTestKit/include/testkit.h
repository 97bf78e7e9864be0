// What the test kit and the benchmark need from C: the GNU calls that Swift's Glibc module leaves out, and the loop that
// measures the machine itself.
#ifndef SPRINGG_TESTKIT_H
#define SPRINGG_TESTKIT_H

#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#ifdef __cplusplus
extern "C" {
#endif

/// pipe2 with O_CLOEXEC: 0, or -1 and errno. Without it another thread's child could inherit an end and hold it open.
int testkit_pipe(int ends[2]);

/// epoll_wait with a time-out in nanoseconds: the moments of an open loop lie closer together than milliseconds.
int testkit_epoll_wait(int poller, struct epoll_event *events, int count, uint64_t nanoseconds);

/// posix_spawn_file_actions_addchdir_np.
int testkit_spawn_chdir(posix_spawn_file_actions_t *actions, const char *path);

/// Makes a network namespace with a loopback and one interface of this IPv4 address, whose other end is the TUN descriptor
/// `device` (closed on exec, does not block). Returns the namespace, or -1 and errno. Nothing of it has a name: it goes when
/// the descriptors are closed and the processes in it have ended, however that comes about.
int testkit_network_new(const char *address, const char *mask, int *device);

/// Takes the calling thread into a network namespace, as for sockets that it makes and processes that it starts; returns what
/// takes it back, or -1 and errno.
int testkit_network_enter(int network);

/// Takes the calling thread back.
void testkit_network_return(int before);

/// Reads `length` bytes once, front to back, in the widest loads the processor has (AVX2 when present), doing nothing
/// with them but one exclusive-or a load, and returns a value that depends on every byte. This is the yardstick that
/// a scan of the same bytes is held against: no scan can be faster than it on one core.
uint64_t testkit_read_all(const void *bytes, size_t length);

/// Name of the loads testkit_read_all uses: "AVX2" or "64-bit".
const char *testkit_read_width(void);

#ifdef __cplusplus
}
#endif

#endif
