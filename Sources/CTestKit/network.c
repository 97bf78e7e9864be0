#define _GNU_SOURCE
#include "testkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int current_namespace(void) {
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int bring_up(int control, const char *name) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(control, SIOCSIFFLAGS, &request);
}

static int set_address(int control, unsigned long what, const char *name, const char *address) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    struct sockaddr_in *place = (struct sockaddr_in *)&request.ifr_addr;
    place->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &place->sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    return ioctl(control, what, &request);
}

// The interfaces of the namespace that the calling thread is in.
static int make_interfaces(const char *address, const char *mask, int *device) {
    static const char name[] = "eth0";
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) return -1;
    int result = -1;
    *device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (*device >= 0) {
        struct ifreq request = {0};
        strncpy(request.ifr_name, name, IFNAMSIZ - 1);
        // Whole IP packets, without Ethernet and without a header of the driver's.
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        if (ioctl(*device, TUNSETIFF, &request) == 0 && set_address(control, SIOCSIFADDR, name, address) == 0 &&
            set_address(control, SIOCSIFNETMASK, name, mask) == 0 && bring_up(control, name) == 0 &&
            bring_up(control, "lo") == 0)
            result = 0;
        int code = errno;
        if (result != 0) close(*device);
        errno = code;
    }
    int code = errno;
    close(control);
    errno = code;
    return result;
}

int testkit_network_enter(int network) {
    int before = current_namespace();
    if (before < 0) return -1;
    if (setns(network, CLONE_NEWNET) == 0) return before;
    int code = errno;
    close(before);
    errno = code;
    return -1;
}

void testkit_network_return(int before) {
    // A thread that stayed in the wrong network would make every later failure a riddle.
    if (setns(before, CLONE_NEWNET) != 0) abort();
    close(before);
}

int testkit_network_new(const char *address, const char *mask, int *device) {
    int before = current_namespace();
    if (before < 0) return -1;
    int code = 0, network = -1;
    if (unshare(CLONE_NEWNET) != 0) {
        code = errno;
        close(before);
        errno = code;
        return -1;
    }
    network = current_namespace();
    if (network < 0 || make_interfaces(address, mask, device) != 0) {
        code = errno;
        if (network >= 0) close(network);
        network = -1;
    }
    testkit_network_return(before);
    errno = code;
    return network;
}
